/* The Vulkan layer VK_LAYER_WARPBRIDGE_share without the rest of warpbridge. See README.md beside this folder.
 *
 * Take these functions from the library that the Vulkan loader loads (dlopen it by the same path), not from a copy.
 * Functions that return int return 0 when all is well; else wb_layer_error() has the text, until this thread's next error.
 * Every function is safe from any thread; a bracket belongs to the thread that opened it. */
#ifndef WARPBRIDGE_LAYER_H
#define WARPBRIDGE_LAYER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wb_layer_buffer wb_layer_buffer;

typedef struct wb_layer_facts {
    uint64_t device_id;        /* number of the Vulkan device in this process */
    uint64_t device;           /* its VkDevice */
    uint64_t bytes;            /* the buffer's size */
    uint64_t allocation_bytes; /* its memory's: what cuImportExternalMemory wants */
    uint8_t uuid[16];          /* its GPU's, the same in CUDA */
} wb_layer_facts;

const char *wb_layer_error(void);
/* Vulkan instances that use the layer now; 0: the loader has not loaded it. */
uint32_t wb_layer_instances(void);

/* Opens a bracket: the next VkBuffer of `bytes` (and up to 256 more) that this thread makes gets exportable memory. */
int wb_layer_begin_export(uint64_t bytes);
/* The same: it lives in this host memory. `release` (may be NULL) is called once, on any thread, when nobody uses it. */
int wb_layer_begin_import(uint64_t bytes, void *address, uint64_t host_bytes, void (*release)(void *user), void *user);
/* Closes the bracket, also when it fails: then no buffer was made as asked; one that came is an ordinary one. */
int wb_layer_end(wb_layer_buffer **out);

void wb_layer_buffer_free(wb_layer_buffer *buffer);
void wb_layer_buffer_facts(const wb_layer_buffer *buffer, wb_layer_facts *out);
/* A new OPAQUE_FD descriptor of a dedicated allocation. */
int wb_layer_buffer_fd(const wb_layer_buffer *buffer, int *out);

/* The device's queues signal *value of a timeline semaphore behind all that was submitted to them so far. */
int wb_layer_signal(const wb_layer_buffer *buffer, uint64_t *value);
/* Waits on the host for that value; *reached = 0: not within limit_ns. */
int wb_layer_wait_host(const wb_layer_buffer *buffer, uint64_t value, uint64_t limit_ns, int *reached);
/* All that is submitted later waits for another semaphore to reach a value; `signal` queues its signalling (0: done). */
int wb_layer_wait_for(const wb_layer_buffer *buffer, int (*signal)(void *user, uint64_t value), void *user);
/* Signals that value from the host. */
int wb_layer_signal_host(const wb_layer_buffer *buffer, uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
