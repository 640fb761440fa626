// A fork for programs that may not call it themselves: `getppid` makes a child, in which it answers 0. In the parent it
// answers 1, once the child has ended.
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t getppid(void) {
    pid_t child = fork();
    if (child < 0) _exit(1);
    if (child == 0) return 0;
    waitpid(child, NULL, 0);
    return 1;
}
