//! The agent's code: a page of assembly that needs nothing but itself and the shared memory.
//!
//! It is copied to [`AGENT`](super::layout::AGENT) in a forked child, which then unmaps everything
//! else: no libc, no stack, no vDSO, so that an agent's address space holds two areas of its own
//! and otherwise only what a program maps. All state is in the shared memory; `r14` is who we are.

use std::arch::global_asm;
use std::mem::offset_of;

use super::layout::{Op, arg, at, kind};

global_asm!(
    ".pushsection .text.vmadiff_agent, \"ax\", @progbits",
    ".balign 64",
    "vmadiff_agent_code:",
    "xor esp, esp",
    // Whose turn is it, and whose is the operation?
    "20:",
    "lea r15, [rip + vmadiff_agent_code + 0x1000]",
    "mov eax, [r15 + {TURN}]",
    "cmp eax, r14d",
    "jne 30f",
    "mov rbx, [r15 + {PC}]",
    "imul r12, rbx, {SIZE}",
    "lea r12, [r15 + r12 + {OPS}]",
    "mov ecx, [r12 + {OWNER}]",
    "cmp ecx, r14d",
    "je 40f",
    // Another's: pass the turn on.
    "xor r13d, r13d",
    "70:",
    "mov [r15 + {TURN}], ecx",
    "mov r9d, 1",
    "shl r9d, cl",
    "mov eax, 202",
    "lea rdi, [r15 + {TURN}]",
    "mov esi, 10", // FUTEX_WAKE_BITSET
    "mov edx, 0x7fffffff",
    "xor r10d, r10d",
    "syscall",
    "test r13d, r13d",
    "jz 20b",
    // We were to leave after passing it on.
    "mov eax, 231",
    "xor edi, edi",
    "syscall",
    "ud2",
    // Not our turn: sleep until it is.
    "30:",
    "mov edx, eax",
    "mov ecx, r14d",
    "mov r9d, 1",
    "shl r9d, cl",
    "mov eax, 202",
    "lea rdi, [r15 + {TURN}]",
    "mov esi, 9", // FUTEX_WAIT_BITSET
    "xor r10d, r10d",
    "syscall",
    "jmp 20b",
    // Ours.
    "40:",
    "xor r13d, r13d",
    "mov eax, [r12 + {KIND}]",
    "cmp eax, {LOAD}",
    "je 51f",
    "cmp eax, {STORE}",
    "je 52f",
    "cmp eax, {EXEC}",
    "je 53f",
    "cmp eax, {FORK}",
    "je 54f",
    "cmp eax, {EXIT}",
    "je 55f",
    "cmp eax, {IF_ERROR}",
    "je 56f",
    // A system call.
    "mov rdi, [r12 + {ARGS}]",
    "mov rsi, [r12 + {ARGS} + 8]",
    "mov rdx, [r12 + {ARGS} + 16]",
    "mov r10, [r12 + {ARGS} + 24]",
    "mov r8, [r12 + {ARGS} + 32]",
    "mov r9, [r12 + {ARGS} + 40]",
    "mov ecx, [r12 + {FLAGS}]",
    "test ecx, {FIRST_IS_LAST}",
    "cmovnz rdi, [r15 + {LAST}]",
    "test ecx, {FIRST_IS_KEPT}",
    "cmovnz rdi, [r15 + {KEPT}]",
    "test ecx, {SECOND_IS_KEPT}",
    "cmovnz rsi, [r15 + {KEPT}]",
    "test ecx, {FIRST_BY_LAST}",
    "jz 41f",
    "mov rax, [r15 + {LAST}]",
    "shl rax, 5",
    "add rdi, rax",
    "41:",
    "mov eax, [r12 + {NUMBER}]",
    "syscall",
    "mov [r12 + {RESULT}], rax",
    "mov ecx, [r12 + {FLAGS}]",
    "test ecx, {FORGET}",
    "jnz 42f",
    "mov [r15 + {LAST}], rax",
    "42:",
    "test ecx, {KEEP}",
    "jz 60f",
    "mov [r15 + {KEPT}], rax",
    // On to the next operation.
    "60:",
    "inc qword ptr [r15 + {PC}]",
    "jmp 20b",
    "51:", // load
    "mov rdi, [r12 + {ARGS}]",
    "movzx eax, byte ptr [rdi]",
    "mov [r12 + {RESULT}], rax",
    "jmp 60b",
    "52:", // store
    "mov rdi, [r12 + {ARGS}]",
    "mov eax, [r12 + {ARGS} + 8]",
    "mov byte ptr [rdi], al",
    "mov qword ptr [r12 + {RESULT}], 0",
    "jmp 60b",
    // exec: whatever instruction is there finds no register that it could reach memory with.
    "53:",
    "mov rax, [r12 + {ARGS}]",
    "mov [r15 + {TARGET}], rax",
    "mov qword ptr [r12 + {RESULT}], 0",
    "mov rax, 0x5555000000000000",
    "mov rbx, rax",
    "mov rcx, rax",
    "mov rdx, rax",
    "mov rsi, rax",
    "mov rdi, rax",
    "mov rbp, rax",
    "mov rsp, rax",
    "mov r8, rax",
    "mov r9, rax",
    "mov r10, rax",
    "mov r11, rax",
    "mov r12, rax",
    "mov r13, rax",
    "mov r14, rax",
    "mov r15, rax",
    "jmp qword ptr [rip + vmadiff_agent_code + 0x1000 + {TARGET}]",
    "54:", // fork
    "mov eax, 57",
    "syscall",
    "test rax, rax",
    "jz 57f",
    "mov [r12 + {RESULT}], rax",
    "mov [r15 + {LAST}], rax",
    "jmp 60b",
    "57:", // the child
    "mov r14d, [r12 + {ARGS}]",
    "jmp 20b",
    "55:", // exit
    "inc qword ptr [r15 + {PC}]",
    "mov ecx, [r12 + {SIZE} + {OWNER}]",
    "mov r13d, 1",
    "jmp 70b",
    "56:", // if the last result is an error
    "cmp qword ptr [r15 + {LAST}], -4095",
    "jb 60b",
    "mov rax, [r12 + {ARGS}]",
    "mov [r15 + {PC}], rax",
    "jmp 20b",
    // A signal: note what it was, and go on behind the operation that raised it.
    "vmadiff_agent_handler:",
    "lea r15, [rip + vmadiff_agent_code + 0x1000]",
    "mov r14d, [r15 + {TURN}]",
    "imul r12, [r15 + {PC}], {SIZE}",
    "lea r12, [r15 + r12 + {OPS}]",
    "mov [r12 + {SIGNAL}], edi",
    "mov eax, [rsi + 8]",
    "mov [r12 + {CODE}], eax",
    "mov rax, [rsi + 16]",
    "mov [r12 + {ADDR}], rax",
    "mov rax, [rdx + 192]", // uc_mcontext.gregs[REG_ERR]
    "mov [r12 + {ERROR}], rax",
    "xor esp, esp",
    "jmp 60b",
    "vmadiff_agent_end:",
    ".popsection",
    TURN = const at::TURN, PC = const at::PC, LAST = const at::LAST, KEPT = const at::KEPT,
    TARGET = const at::TARGET, OPS = const at::OPS,
    SIZE = const size_of::<Op>(),
    OWNER = const offset_of!(Op, owner), KIND = const offset_of!(Op, kind),
    NUMBER = const offset_of!(Op, number), FLAGS = const offset_of!(Op, flags),
    ARGS = const offset_of!(Op, args), RESULT = const offset_of!(Op, result),
    SIGNAL = const offset_of!(Op, signal), CODE = const offset_of!(Op, code),
    ADDR = const offset_of!(Op, addr), ERROR = const offset_of!(Op, error),
    LOAD = const kind::LOAD, STORE = const kind::STORE, EXEC = const kind::EXEC,
    FORK = const kind::FORK, EXIT = const kind::EXIT, IF_ERROR = const kind::IF_ERROR,
    FIRST_IS_LAST = const arg::FIRST_IS_LAST, FIRST_IS_KEPT = const arg::FIRST_IS_KEPT,
    SECOND_IS_KEPT = const arg::SECOND_IS_KEPT, FIRST_BY_LAST = const arg::FIRST_BY_LAST,
    FORGET = const arg::FORGET, KEEP = const arg::KEEP,
);

unsafe extern "C" {
    static vmadiff_agent_code: u8;
    static vmadiff_agent_handler: u8;
    static vmadiff_agent_end: u8;
}

/// The code's first byte, its length, and where in it the signal handler starts.
///
/// Never inlined: labels of the assembly are known in its own object file only, and whoever builds
/// this without link-time optimisation in several codegen units has callers in others.
#[inline(never)]
pub fn code() -> (*const u8, usize, u64) {
    let start = &raw const vmadiff_agent_code;
    let length = (&raw const vmadiff_agent_end).addr() - start.addr();
    let handler = (&raw const vmadiff_agent_handler).addr() - start.addr();
    (start, length, handler as u64)
}
