/* A stand-in for libcuda.so.1 that computes nothing: it keeps the books of contexts, modules, streams and errors as the
 * CUDA driver API documents them, and refuses what the driver would refuse. What a real GPU answers is tested with
 * `pytest -m gpu`; here is tested what warpbridge does with each answer, and that it leaves nothing behind.
 *
 * A kernel does what its name begins with: illegal, misaligned, trap lose the context, which shows when a stream or an event
 * is asked about (with DRIVER_EAGER at once); hungry and starved are refused at launch; watchful, whose second parameter is
 * a control block, runs until that says stop (and then a value is written that was queued behind it); noting notes its parameters, two of 8 bytes and two of 4. PTX that says
 * JIT_REFUSES or NO_MEMORY is not loaded. DRIVER_DEVICES: how many GPUs (default 1). DRIVER_NO_WRITES: streams cannot
 * write values to memory.
 * DRIVER_UUID: 32 hexadecimal digits, else zeros. Memory and semaphores of Vulkan are in external.c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED, INVALID_CONTEXT = 201, INVALID_PTX = 218, INVALID_HANDLE = 400,
       NOT_FOUND = 500, NOT_READY = 600, ILLEGAL = 700, HUNGRY = 701, MISALIGNED = 716, FAILED = 719, NOT_SUPPORTED = 801 };
enum { DEVICES = 8, DEPTH = 16 };

typedef struct { int device, fault, brewing; } Context;
typedef struct { Context *context; char *text; } Module;
typedef struct { Module *module; char name[128]; } Function;

static Context contexts[DEVICES];
static pid_t process;
static _Thread_local Context *stack[DEPTH];
static _Thread_local int depth, capture_mode;
static uint32_t *watched; /* the control block of the watchful kernel that runs */
static struct { uint32_t *at, value; } owed; /* what a stream writes when the watchful kernel has ended */
static uint64_t noted[5]; /* parameters of the noting kernel that was launched last, and its stream */
static _Atomic int modules, streams, events, host_blocks, launches, writes, capturing;

static Context *top(void) { return depth ? stack[depth - 1] : NULL; }

/* What every call that needs a context answers first. */
static int ready(void) {
    if (process != getpid()) return NOT_INITIALIZED;
    return top() ? top()->fault : INVALID_CONTEXT;
}
/* The same where faults come to light. */
static int settled(void) {
    if (top() && top()->brewing) top()->fault = top()->brewing;
    return ready();
}
/* For external.c: the same, and whether a kernel in front has already gone wrong, so that nothing behind it is done. */
int driver_ready(void) { return ready(); }
int driver_is_broken(void) { return top() && top()->brewing; }
#define NEEDS_CONTEXT do { int answer = ready(); if (answer) return answer; } while (0)

int cuInit(unsigned flags) { process = getpid(); return flags ? INVALID_VALUE : OK; }
int cuDriverGetVersion(int *version) { *version = 13000; return OK; }
int cuDeviceGetCount(int *count) {
    const char *asked = getenv("DRIVER_DEVICES");
    *count = asked ? atoi(asked) : 1;
    return OK;
}
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return OK; }
int cuDeviceGetName(char *name, int room, int device) { snprintf(name, room, "stand-in %d", device); return OK; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = 1 << 30; return OK; }
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    const char *asked = getenv("DRIVER_UUID");
    memset(uuid, device, 16);
    for (int at = 0; asked && at < 16; at++) sscanf(asked + 2 * at, "%2hhx", &uuid[at]);
    return OK;
}
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    (void)device;
    *value = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 4 : 232448;
    return OK;
}
int cuGetErrorName(int code, const char **text) {
    switch (code) {
    case OUT_OF_MEMORY: *text = "CUDA_ERROR_OUT_OF_MEMORY"; return OK;
    case NOT_INITIALIZED: *text = "CUDA_ERROR_NOT_INITIALIZED"; return OK;
    case INVALID_CONTEXT: *text = "CUDA_ERROR_INVALID_CONTEXT"; return OK;
    case INVALID_PTX: *text = "CUDA_ERROR_INVALID_PTX"; return OK;
    case INVALID_HANDLE: *text = "CUDA_ERROR_INVALID_HANDLE"; return OK;
    case ILLEGAL: *text = "CUDA_ERROR_ILLEGAL_ADDRESS"; return OK;
    case HUNGRY: *text = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"; return OK;
    case MISALIGNED: *text = "CUDA_ERROR_MISALIGNED_ADDRESS"; return OK;
    case FAILED: *text = "CUDA_ERROR_LAUNCH_FAILED"; return OK;
    default: return INVALID_VALUE;
    }
}
int cuGetErrorString(int code, const char **text) { (void)code; *text = "as the driver says"; return OK; }

int cuDevicePrimaryCtxRetain(Context **context, int device) {
    contexts[device].device = device;
    *context = &contexts[device];
    return OK;
}
int cuCtxGetCurrent(Context **context) { *context = top(); return OK; }
int cuCtxPushCurrent_v2(Context *context) {
    if (depth == DEPTH) return INVALID_VALUE;
    stack[depth++] = context;
    return OK;
}
int cuCtxPopCurrent_v2(Context **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return OK;
}
int cuThreadExchangeStreamCaptureMode(int *mode) {
    int before = capture_mode;
    capture_mode = *mode;
    *mode = before;
    return OK;
}

int cuModuleLoadDataEx(Module **out, const char *text, unsigned count, int *options, void **values) {
    NEEDS_CONTEXT;
    if (count != 4 || options[2] != 5) return INVALID_VALUE;
    if (strstr(text, "NO_MEMORY")) return OUT_OF_MEMORY;
    if (strstr(text, "JIT_REFUSES")) {
        char *log = values[2];
        size_t room = (size_t)values[3], used = 0;
        for (int line = 1; line <= 2000 && used + 40 < room; line++)
            used += snprintf(log + used, room - used, "ptxas error : line %d is wrong\n", line);
        return INVALID_PTX;
    }
    *out = malloc(sizeof **out);
    **out = (Module){top(), strdup(text)};
    modules++;
    return OK;
}
int cuModuleUnload(Module *module) {
    NEEDS_CONTEXT;
    if (module->context != top()) return INVALID_HANDLE;
    modules--;
    free(module->text);
    free(module);
    return OK;
}
int cuModuleGetFunction(Function **out, Module *module, const char *name) {
    NEEDS_CONTEXT;
    if (!strstr(module->text, name)) return NOT_FOUND;
    *out = malloc(sizeof **out);
    (*out)->module = module;
    snprintf((*out)->name, sizeof (*out)->name, "%s", name);
    return OK;
}
int cuFuncGetAttribute(int *value, int attribute, Function *function) {
    (void)function;
    *value = attribute == 0 ? 256 : 0;
    return ready();
}
int cuFuncSetAttribute(Function *function, int attribute, int value) {
    (void)function, (void)value;
    // Most dynamic shared memory; clusters of more than eight. Others would outlast the launch that they are set for.
    return attribute == 8 || attribute == 14 ? ready() : INVALID_VALUE;
}

int cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, void *stream, void **parameters, void **extra) {
    (void)gx, (void)gy, (void)gz, (void)bx, (void)by, (void)bz, (void)shared_bytes, (void)parameters, (void)extra;
    NEEDS_CONTEXT;
    if (function->module->context != top()) return INVALID_HANDLE;
    const char *name = function->name;
    if (!strncmp(name, "hungry", 6)) return HUNGRY;
    if (!strncmp(name, "starved", 7)) return OUT_OF_MEMORY;
    launches++;
    if (!strncmp(name, "illegal", 7)) top()->brewing = ILLEGAL;
    if (!strncmp(name, "misaligned", 10)) top()->brewing = MISALIGNED;
    if (!strncmp(name, "trap", 4)) top()->brewing = FAILED;
    if (!strncmp(name, "watchful", 8)) watched = (uint32_t *)(uintptr_t)*(uint64_t *)parameters[1];
    if (!strncmp(name, "noting", 6)) {
        for (int i = 0; i < 4; i++) noted[i] = i < 2 ? *(uint64_t *)parameters[i] : *(uint32_t *)parameters[i];
        noted[4] = (uint64_t)(uintptr_t)stream;
    }
    if (getenv("DRIVER_EAGER")) settled();
    return OK;
}
int cuLaunchKernelEx(const void *config, Function *function, void **parameters, void **extra) {
    (void)config;
    return cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, parameters, extra);
}

int cuEventCreate(void **event, unsigned flags) { (void)flags; NEEDS_CONTEXT; events++; *event = malloc(1); return OK; }
int cuEventRecord(void *event, void *stream) { (void)event, (void)stream; return ready(); }
/* The watchful kernel looks once per question: docs/control-block.md says at what, and what it answers where. */
static int watches(void) {
    if (!watched) return 0;
    if (!watched[0]) return 1;
    uint32_t *mirror = (uint32_t *)(uintptr_t)*(uint64_t *)(watched + 10);
    watched[1] = 1;
    if (mirror) mirror[1] = 1;
    watched = NULL;
    if (owed.at) __atomic_store_n(owed.at, owed.value, __ATOMIC_RELEASE);
    owed.at = NULL;
    return 0;
}
int cuStreamWriteValue32_v2(void *stream, uint64_t address, uint32_t value, unsigned flags) {
    (void)stream, (void)flags;
    NEEDS_CONTEXT;
    if (getenv("DRIVER_NO_WRITES")) return NOT_SUPPORTED;
    uint32_t *at = (uint32_t *)(uintptr_t)address;
    if (driver_is_broken()) return OK; /* behind a fault nothing is written */
    if (watched) owed.at = at, owed.value = value;
    else __atomic_store_n(at, value, __ATOMIC_RELEASE);
    writes++;
    return OK;
}
int cuEventQuery(void *event) { (void)event; return watches() ? NOT_READY : settled(); }
int cuStreamCreate(void **stream, unsigned flags) { (void)flags; NEEDS_CONTEXT; streams++; *stream = malloc(1); return OK; }
int cuStreamDestroy_v2(void *stream) { NEEDS_CONTEXT; streams--; free(stream); return OK; }
int cuStreamQuery(void *stream) { (void)stream; return settled(); }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { (void)stream, (void)event, (void)flags; return ready(); }
int cuStreamIsCapturing(void *stream, int *status) { (void)stream; *status = capturing; return ready(); }
int cuMemHostAlloc(void **host, size_t bytes, unsigned flags) {
    (void)flags;
    NEEDS_CONTEXT;
    if (getenv("DRIVER_NO_HOST_MEMORY")) return OUT_OF_MEMORY;
    host_blocks++;
    *host = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    memset(*host, 0, bytes);
    return OK;
}
int cuMemFreeHost(void *host) { host_blocks--; free(host); return OK; }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    NEEDS_CONTEXT;
    *address = (uint64_t)(uintptr_t)malloc(bytes);
    return OK;
}
int cuMemFree_v2(uint64_t address) { NEEDS_CONTEXT; free((void *)(uintptr_t)address); return OK; }
int cuMemcpyAsync(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    (void)stream;
    NEEDS_CONTEXT;
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return OK;
}
int cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, void *stream) {
    (void)stream;
    NEEDS_CONTEXT;
    memset((void *)(uintptr_t)address, value, bytes);
    return OK;
}
int cuStreamSynchronize(void *stream) { (void)stream; return settled(); }
int cuMemHostGetDevicePointer_v2(uint64_t *address, void *host, unsigned flags) {
    (void)flags;
    *address = (uint64_t)(uintptr_t)host;
    return OK;
}
int cuPointerGetAttribute(void *value, int attribute, uint64_t address) {
    (void)value, (void)attribute, (void)address;
    return INVALID_VALUE;
}

/* For the tests: what the driver has on its books. */
int driver_count(const char *what) {
    if (!strcmp(what, "modules")) return modules;
    if (!strcmp(what, "streams")) return streams;
    if (!strcmp(what, "events")) return events;
    if (!strcmp(what, "host blocks")) return host_blocks;
    if (!strcmp(what, "launches")) return launches;
    if (!strcmp(what, "writes")) return writes;
    if (!strcmp(what, "depth")) return depth;
    if (!strcmp(what, "capture mode")) return capture_mode;
    return -1;
}
uint64_t driver_noted(int index) { return noted[index]; }
void driver_capture(int on) { capturing = on; }
