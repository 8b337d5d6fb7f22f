#define CALL(task, call)                                                      \
    do {                                                                      \
        call;                                                                 \
        printf("%s%s = %s\n", task == 1 ? "" : "[" #task "] ", #call, answer); \
    } while (0)

