/* A delegate that stands in for libedgetpu behind a real TensorFlow Lite interpreter: it takes every edgetpu-custom-op
   and waits in its place. The structures are those of TensorFlow Lite's core/c/common.h, as far as they are used here;
   the exported functions those of its external_delegate_interface.h and of libedgetpu's edgetpu_c.h.
   STAND_IN_LIST: ports in the order of the runtime's list, as `2-2,2-1`. STAND_IN_LOAD: `crash` or `refuse`. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { int size; int data[]; } IntArray;
typedef struct Context Context;
typedef struct Delegate Delegate;
typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, void *);
  int (*invoke)(Context *, void *);
  const char *(*profiling_string)(const Context *, const void *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *registration_external;
  void *async_kernel;
  uint64_t inplace_operator;
} Registration;
struct Context {
  size_t tensors_size;
  int (*GetExecutionPlan)(Context *, IntArray **);
  void *tensors;
  void *impl;
  int (*ResizeTensor)(Context *, void *, IntArray *);
  void (*ReportError)(Context *, const char *, ...);
  int (*AddTensors)(Context *, int, int *);
  int (*GetNodeAndRegistration)(Context *, int, void **, Registration **);
  int (*ReplaceNodeSubsetsWithDelegateKernels)(Context *, Registration, const IntArray *, Delegate *);
};
struct Delegate {
  void *data;
  int (*Prepare)(Context *, Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *builder;
};

static void wait_ms(double ms) {
  struct timespec t = {(time_t)(ms / 1000), (long)((ms - 1000 * (time_t)(ms / 1000)) * 1e6)};
  nanosleep(&t, NULL);
}

static void *init(Context *c, const char *buffer, size_t length) { return calloc(1, sizeof(int)); }
static void release(Context *c, void *data) { free(data); }
static int prepare(Context *c, void *node) { return 0; }
static int uploaded = 0;
static int invoke(Context *c, void *node) {
  wait_ms(uploaded ? 2 : 22);
  uploaded = 1;
  return 0;
}

static int take(Context *c, Delegate *self) {
  IntArray *plan, *mine;
  if (c->GetExecutionPlan(c, &plan)) return 1;
  mine = malloc(sizeof(IntArray) + plan->size * sizeof(int));
  mine->size = 0;
  for (int i = 0; i < plan->size; i++) {
    void *node;
    Registration *op;
    if (c->GetNodeAndRegistration(c, plan->data[i], &node, &op)) return 1;
    if (op->custom_name && !strcmp(op->custom_name, "edgetpu-custom-op")) mine->data[mine->size++] = plan->data[i];
  }
  Registration kernel = {init, release, prepare, invoke, NULL, 32, "StandIn", 1, NULL, NULL, 0};
  int status = c->ReplaceNodeSubsetsWithDelegateKernels(c, kernel, mine, self);
  free(mine);
  return status;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*report)(const char *)) {
  const char *how = getenv("STAND_IN_LOAD");
  if (how && !strcmp(how, "crash")) *(volatile int *)0 = 0;
  if (how && !strcmp(how, "refuse")) { report("no such device"); return NULL; }
  Delegate *made = calloc(1, sizeof(Delegate));
  made->Prepare = take;
  made->flags = 1; /* allow dynamic tensors: else the ops are prepared before they can be taken */
  return made;
}
void tflite_plugin_destroy_delegate(Delegate *delegate) { free(delegate); }

struct edgetpu_device { int type; const char *path; };
struct edgetpu_device *edgetpu_list_devices(size_t *count) {
  static struct edgetpu_device found[8];
  static char text[256];
  *count = 0;
  if (!getenv("STAND_IN_LIST")) return NULL;
  strncpy(text, getenv("STAND_IN_LIST"), sizeof(text) - 1);
  for (char *port = strtok(text, ","); port && *count < 8; port = strtok(NULL, ",")) {
    char *path = malloc(64 + strlen(port));
    strcpy(path, strncmp(port, "apex", 4) ? "/sys/bus/usb/devices/" : "/dev/");
    found[*count].type = strncmp(port, "apex", 4) ? 1 : 0;
    found[(*count)++].path = strcat(path, port);
  }
  return found;
}
const char *edgetpu_version(void) { return "StandIn(7)"; }
