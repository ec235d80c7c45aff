/* A Vulkan layer for the tests, below warpbridge's: the device exports timeline semaphores (VK_KHR_external_semaphore_fd), which
 * lavapipe of Debian 12 does not. A descriptor is a file with the semaphore's handles in it (external.h); all is one process.
 * Structures are declared as far as they are used, from the Vulkan specification and the loader's layer interface. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "external.h"

enum { OK, INCOMPLETE = 5, FAILED = -3, FD_BIT = 1, LENDABLE = 3, LOADER_INSTANCE = 47, LOADER_DEVICE = 48,
       EXPORT_SEMAPHORE = 1000077000, WAIT_INFO = 1000207004, SIGNAL_INFO = 1000207005 };
static const char EXTENSION[] = "VK_KHR_external_semaphore_fd";

typedef struct Base { int type; struct Base *next; } Base;
typedef void (*Function)(void);
typedef Function (*Find)(void *handle, const char *name);
typedef struct Link { struct Link *next; Find of_instance; Find other; } Link; /* other: vkGetDeviceProcAddr of a device's link */
typedef struct { Base base; int function; Link *link; } LoaderInfo;
typedef struct { Base base; unsigned flags, queues; void *queue_infos; unsigned layers; const char **layer_names;
                 unsigned extensions; const char **names; void *features; } DeviceInfo;
typedef struct { char name[256]; unsigned version; } Extension;
typedef struct { Base base; unsigned imported, compatible, features; } SemaphoreProperties;
typedef struct { Base base; uint64_t semaphore; int type; } FdInfo;
typedef struct { Base base; uint64_t semaphore, value; } SignalInfo;
typedef struct { Base base; unsigned flags, count; const uint64_t *semaphores, *values; } WaitInfo;
typedef struct { int type; void *next; unsigned version; Find of_instance, of_device, of_physical; } Negotiation;

/* One instance and its devices: the tests make no more. */
static void *instance;
static Find find_of_instance, find_of_device;
static int (*list_below)(void *, const char *, unsigned *, Extension *);

static LoaderInfo *place(Base *chain, int type) {
    while (chain->type != type || ((LoaderInfo *)chain)->function) chain = chain->next;
    return (LoaderInfo *)chain;
}

static int create_instance(const Base *info, const void *allocator, void **out) {
    LoaderInfo *here = place(info->next, LOADER_INSTANCE);
    find_of_instance = here->link->of_instance;
    here->link = here->link->next;
    int (*create)(const void *, const void *, void **) = (void *)find_of_instance(NULL, "vkCreateInstance");
    int result = create(info, allocator, out);
    instance = *out;
    list_below = (void *)find_of_instance(instance, "vkEnumerateDeviceExtensionProperties");
    return result;
}

static int create_device(void *physical, const DeviceInfo *info, const void *allocator, void **out) {
    LoaderInfo *here = place(info->base.next, LOADER_DEVICE);
    find_of_device = here->link->other;
    int (*create)(void *, const void *, const void *, void **) = (void *)here->link->of_instance(instance, "vkCreateDevice");
    here->link = here->link->next;
    const char *names[256];
    DeviceInfo changed = *info;
    changed.names = names;
    changed.extensions = 0;
    for (unsigned at = 0; at < info->extensions; at++)
        if (strcmp(info->names[at], EXTENSION)) names[changed.extensions++] = info->names[at];
    return create(physical, &changed, allocator, out);
}

static int list_extensions(void *physical, const char *layer, unsigned *count, Extension *out) {
    if (!out) {
        int result = list_below(physical, layer, count, NULL);
        *count += 1;
        return result;
    }
    unsigned room = *count;
    int result = list_below(physical, layer, count, out);
    if (*count == room) return INCOMPLETE;
    strcpy(out[*count].name, EXTENSION);
    out[*count].version = 1;
    *count += 1;
    return result;
}

static void semaphore_properties(void *physical, const Base *info, SemaphoreProperties *out) {
    (void)physical, (void)info;
    out->imported = out->compatible = FD_BIT;
    out->features = LENDABLE;
}

static int create_semaphore(void *device, const Base *info, const void *allocator, uint64_t *out) {
    int (*create)(void *, const Base *, const void *, uint64_t *) = (void *)find_of_device(device, "vkCreateSemaphore");
    struct { Base base; unsigned flags; } changed;
    memcpy(&changed, info, sizeof changed);
    if (changed.base.next && changed.base.next->type == EXPORT_SEMAPHORE) changed.base.next = changed.base.next->next;
    return create(device, &changed.base, allocator, out);
}

static int semaphore_fd(void *device, const FdInfo *info, int *out) {
    Lent lent = {device, info->semaphore};
    *out = memfd_create("lent", MFD_CLOEXEC);
    return *out < 0 || write(*out, &lent, sizeof lent) != sizeof lent ? FAILED : OK;
}

int lent_signal(const Lent *lent, uint64_t value) {
    int (*signal)(void *, const SignalInfo *) = (void *)find_of_device(lent->device, "vkSignalSemaphore");
    SignalInfo info = {{SIGNAL_INFO, NULL}, lent->semaphore, value};
    return signal(lent->device, &info);
}
int lent_wait(const Lent *lent, uint64_t value, uint64_t limit_ns) {
    int (*wait)(void *, const WaitInfo *, uint64_t) = (void *)find_of_device(lent->device, "vkWaitSemaphores");
    WaitInfo info = {{WAIT_INFO, NULL}, 0, 1, &lent->semaphore, &value};
    return wait(lent->device, &info, limit_ns);
}

static Function of_device(void *device, const char *name) {
    if (!strcmp(name, "vkCreateSemaphore")) return (Function)create_semaphore;
    if (!strcmp(name, "vkGetSemaphoreFdKHR")) return (Function)semaphore_fd;
    return find_of_device(device, name);
}
static Function of_instance(void *handle, const char *name) {
    if (!strcmp(name, "vkCreateInstance")) return (Function)create_instance;
    if (!strcmp(name, "vkCreateDevice")) return (Function)create_device;
    if (!strcmp(name, "vkEnumerateDeviceExtensionProperties")) return (Function)list_extensions;
    if (!strcmp(name, "vkGetPhysicalDeviceExternalSemaphoreProperties")) return (Function)semaphore_properties;
    return handle ? find_of_instance(handle, name) : NULL;
}

int negotiate_lending(Negotiation *negotiation) {
    negotiation->version = 2;
    negotiation->of_instance = of_instance;
    negotiation->of_device = of_device;
    negotiation->of_physical = NULL;
    return OK;
}
