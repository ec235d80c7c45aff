/* Vulkan's semaphores as lending.c lends them and external.c takes them. */
#include <stdint.h>

/* What stands in the file that a lent descriptor opens. */
typedef struct { void *device; uint64_t semaphore; } Lent;

int lent_signal(const Lent *lent, uint64_t value);
/* 0: reached within so many nanoseconds. */
int lent_wait(const Lent *lent, uint64_t value, uint64_t limit_ns);
