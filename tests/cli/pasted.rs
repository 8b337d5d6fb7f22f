//! What `vmadiff convert --rust` prints, pasted.

#[test]
fn softirq_of_a_dead_task() {
    let text = r#"
# regressions/softirq-of-a-dead-task.vma: a call by a task that has exited does nothing, so the
# grace period goes on. The judge took the call's name for the deed. Section 30.
config tasks=1
mmap(0x1f0000, 0x1000, PROT_READ, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0) = 0x1f0000
munmap(0x1f0000, 0x1000) = 0
exit() = 0
softirq() = NOTASK
"#;
    let case = vmadiff::program::Case::parse("softirq-of-a-dead-task", text).unwrap();
    let design = vmadiff::designs::from_name("spf").unwrap();
    let defects: [&str; 0] = [];
    let planted = vmadiff::designs::Planted::new(design, &defects).unwrap();
    let ran = vmadiff::pair::pair(&planted).observe_twice(&case.program);
    assert_eq!(ran.verdict, vmadiff::judge::Verdict::Agree);
    for seen in [&ran.reference, &ran.candidate] {
        assert_eq!(vmadiff::expect::unmet(&case, seen), []);
    }
}
