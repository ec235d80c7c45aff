/* The stand-in's memory and semaphores of Vulkan. Memory is only counted: no kernel reads or writes it. Semaphores are real ones
 * of a Vulkan device, lent by lending.c. The stand-in has no queue, so a signal is given at once and a wait is done at once;
 * behind a kernel that has gone wrong neither is done, as on a GPU whose context is lost. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "external.h"

enum { OK, INVALID_VALUE, NOT_READY = 600, LIMIT_S = 50 };

int driver_ready(void);
int driver_is_broken(void);

static int memories, semaphores, signals;

typedef struct { int type, padding, fd, rest[3]; uint64_t bytes; } MemoryDesc;
typedef struct { int type, padding, fd; } SemaphoreDesc;
typedef struct { uint64_t value, rest[17]; } Params;

int cuImportExternalMemory(void **memory, const MemoryDesc *desc) {
    if (driver_ready()) return driver_ready();
    close(desc->fd);
    memories++;
    *memory = malloc(1);
    return OK;
}
int cuExternalMemoryGetMappedBuffer(uint64_t *address, void *memory, const uint64_t *desc) {
    (void)memory;
    *address = (uint64_t)(uintptr_t)aligned_alloc(256, (desc[1] + 255) / 256 * 256);
    return driver_ready();
}
int cuDestroyExternalMemory(void *memory) { memories--; free(memory); return driver_ready(); }

int cuImportExternalSemaphore(Lent **semaphore, const SemaphoreDesc *desc) {
    if (driver_ready()) return driver_ready();
    *semaphore = malloc(sizeof **semaphore);
    if (pread(desc->fd, *semaphore, sizeof **semaphore, 0) != sizeof **semaphore) return INVALID_VALUE;
    close(desc->fd);
    semaphores++;
    return OK;
}
int cuDestroyExternalSemaphore(Lent *semaphore) { semaphores--; free(semaphore); return driver_ready(); }
int cuSignalExternalSemaphoresAsync(Lent *const *all, const Params *params, unsigned count, void *stream) {
    (void)stream;
    if (driver_ready()) return driver_ready();
    for (unsigned at = 0; at < count && !driver_is_broken(); at++) {
        if (lent_signal(all[at], params[at].value)) return INVALID_VALUE;
        signals++;
    }
    return OK;
}
int cuWaitExternalSemaphoresAsync(Lent *const *all, const Params *params, unsigned count, void *stream) {
    (void)stream;
    if (driver_ready()) return driver_ready();
    for (unsigned at = 0; at < count && !driver_is_broken(); at++)
        if (lent_wait(all[at], params[at].value, LIMIT_S * 1000000000ull)) return NOT_READY;
    return OK;
}

/* For the tests. */
int external_count(const char *what) {
    if (!strcmp(what, "memories")) return memories;
    if (!strcmp(what, "semaphores")) return semaphores;
    if (!strcmp(what, "signals")) return signals;
    return -1;
}
