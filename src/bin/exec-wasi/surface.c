/*
 * What a plugin finds when it looks into the program that loaded it.
 *
 * Compiled once per imitated release, see hosts.rs, and loaded so that its
 * symbols are global: to a plugin, `dlsym` on the main program finds them as it
 * would find Fluent Bit's own. The registrations of built-in inputs have the
 * size that the release gives them; functions exist or not as in that release.
 *
 * No logic here. Every function goes on to Rust through `exec_wasi_surface`,
 * which the program fills after loading; only the variadic logger needs C.
 */
#include <flb_abi.h>

#include <stdarg.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))

/* More members than any release has had: the size is in no plugin's table. */
struct flb_input_plugin_unknown {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_unheard_of[16];
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_input_exit_fn cb_exit;
    void *instance;
    struct mk_list _head;
};
_Static_assert(sizeof(struct flb_input_plugin_unknown) == 248, "a size of no release");

typedef struct HOST_LAYOUT plugin_type;
typedef struct HOST_CONFIG_MAP option_type;

/* The Rust side has the same struct, in `surface.rs`. */
struct surface {
    flb_input_get_property_fn get_property;
    flb_input_set_context_fn set_context;
    flb_input_name_fn name;
    flb_input_log_check_fn log_check;
    void (*log)(int, const char *);
    flb_input_set_collector_event_fn set_collector_event;
    int (*set_collector_time)(struct flb_input_instance *, flb_input_collect_fn, int64_t, long,
                              struct flb_config *);
    flb_input_collector_fn collector_start;
    flb_input_collector_fn collector_pause;
    flb_input_collector_fn collector_resume;
    flb_input_collector_fn collector_delete;
    flb_input_collector_fn collector_running;
    flb_input_log_append_fn log_append;
    flb_input_log_append_records_fn log_append_records;
    flb_parser_get_fn parser_get;
    flb_parser_do_fn parser_do;
    flb_lib_free_fn lib_free;
    int (*time_get)(struct flb_time *);
    int (*engine_exit)(struct flb_config *);
    int (*engine_exit_status)(struct flb_config *, int);
    flb_input_get_cmt_instance_fn get_cmt_instance;
    cmt_counter_create_fn counter_create;
    cmt_counter_set_fn counter_set;
    int (*not_imitated)(const char *);
    /* Built-in inputs. */
    flb_input_init_fn dummy_init;
    flb_input_context_fn dummy_pause;
    flb_input_context_fn dummy_resume;
    flb_input_exit_fn dummy_exit;
    flb_input_init_fn exec_wasi_init;
    flb_input_init_fn other_init;
};

EXPORT struct surface exec_wasi_surface;
EXPORT const size_t exec_wasi_surface_size = sizeof(struct surface);

/* The running context, as the real program's main file exports it. */
EXPORT struct flb_config *config;

/* -- inputs ------------------------------------------------------------- */

EXPORT const char *flb_input_get_property(const char *key, struct flb_input_instance *ins)
{
    return exec_wasi_surface.get_property(key, ins);
}

EXPORT void flb_input_set_context(struct flb_input_instance *ins, void *context)
{
    exec_wasi_surface.set_context(ins, context);
}

EXPORT const char *flb_input_name(struct flb_input_instance *ins)
{
    return exec_wasi_surface.name(ins);
}

EXPORT int flb_input_log_check(struct flb_input_instance *ins, int level)
{
    return exec_wasi_surface.log_check(ins, level);
}

EXPORT void *flb_input_get_cmt_instance(struct flb_input_instance *ins)
{
    return exec_wasi_surface.get_cmt_instance(ins);
}

EXPORT int flb_input_log_append(struct flb_input_instance *ins, const char *tag, size_t tag_len,
                                const void *buf, size_t len)
{
    return exec_wasi_surface.log_append(ins, tag, tag_len, buf, len);
}

EXPORT int flb_input_log_append_records(struct flb_input_instance *ins, size_t records,
                                        const char *tag, size_t tag_len, const void *buf,
                                        size_t len)
{
    return exec_wasi_surface.log_append_records(ins, records, tag, tag_len, buf, len);
}

/* -- collectors --------------------------------------------------------- */

EXPORT int flb_input_set_collector_event(struct flb_input_instance *ins, flb_input_collect_fn cb,
                                         int fd, struct flb_config *ctx)
{
    return exec_wasi_surface.set_collector_event(ins, cb, fd, ctx);
}

EXPORT int flb_input_set_collector_time(struct flb_input_instance *ins, flb_input_collect_fn cb,
                                        time_t seconds, long nanoseconds, struct flb_config *ctx)
{
    return exec_wasi_surface.set_collector_time(ins, cb, seconds, nanoseconds, ctx);
}

EXPORT int flb_input_collector_start(int id, struct flb_input_instance *ins)
{
    return exec_wasi_surface.collector_start(id, ins);
}

EXPORT int flb_input_collector_pause(int id, struct flb_input_instance *ins)
{
    return exec_wasi_surface.collector_pause(id, ins);
}

EXPORT int flb_input_collector_resume(int id, struct flb_input_instance *ins)
{
    return exec_wasi_surface.collector_resume(id, ins);
}

EXPORT int flb_input_collector_delete(int id, struct flb_input_instance *ins)
{
    return exec_wasi_surface.collector_delete(id, ins);
}

EXPORT int flb_input_collector_running(int id, struct flb_input_instance *ins)
{
    return exec_wasi_surface.collector_running(id, ins);
}

/* -- logging, parsers, time, engine -------------------------------------- */

EXPORT __attribute__((format(printf, 4, 5))) void flb_log_print(int level, const char *file,
                                                                int line, const char *fmt, ...)
{
    char text[4096]; /* the real one cuts there too */
    va_list args;

    (void) file;
    (void) line;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    exec_wasi_surface.log(level, text);
}

EXPORT struct flb_parser *flb_parser_get(const char *name, struct flb_config *ctx)
{
    return exec_wasi_surface.parser_get(name, ctx);
}

EXPORT int flb_parser_do(struct flb_parser *parser, const char *buf, size_t len, void **out,
                         size_t *out_len, struct flb_time *time)
{
    return exec_wasi_surface.parser_do(parser, buf, len, out, out_len, time);
}

EXPORT int flb_lib_free(void *data)
{
    return exec_wasi_surface.lib_free(data);
}

EXPORT int flb_time_get(struct flb_time *time)
{
    return exec_wasi_surface.time_get(time);
}

EXPORT int flb_engine_exit(struct flb_config *ctx)
{
    return exec_wasi_surface.engine_exit(ctx);
}

EXPORT int flb_engine_exit_status(struct flb_config *ctx, int status)
{
    return exec_wasi_surface.engine_exit_status(ctx, status);
}

/* -- counters ----------------------------------------------------------- */

EXPORT struct cmt_counter *cmt_counter_create(struct cmt *cmt, char *ns, char *subsystem,
                                              char *name, char *help, int labels, char **keys)
{
    return exec_wasi_surface.counter_create(cmt, ns, subsystem, name, help, labels, keys);
}

EXPORT int cmt_counter_set(struct cmt_counter *counter, uint64_t timestamp, double value,
                           int labels, char **values)
{
    return exec_wasi_surface.counter_set(counter, timestamp, value, labels, values);
}

EXPORT uint64_t cfl_time_now(void)
{
    struct flb_time now;

    exec_wasi_surface.time_get(&now);
    return (uint64_t) now.tm.tv_sec * 1000000000 + (uint64_t) now.tm.tv_nsec;
}

/*
 * Functions that only tell the release by being there. Calling one is an error
 * that the log names; they take no arguments, so none are read.
 */
#define MARKER(function)                                                       \
    EXPORT int function(void);                                                 \
    EXPORT int function(void)                                                  \
    {                                                                          \
        return exec_wasi_surface.not_imitated(#function);                      \
    }

#if HOST_VERSION >= 20100
MARKER(flb_log_event_encoder_init)
MARKER(flb_context_get)
MARKER(flb_reload)
#endif
#if HOST_VERSION >= 30200
MARKER(flb_notification_enqueue)
#endif
#if HOST_VERSION >= 40200
MARKER(flb_router_config_parse)
#endif
#if HOST_VERSION >= 50003
MARKER(flb_config_map_get_raw)
#endif
#if HOST_VERSION >= 50100
MARKER(flb_input_rate_gate_protect)
MARKER(flb_plugin_alias_get)
#endif

/* -- built-in inputs ---------------------------------------------------- */

static int call_dummy_init(struct flb_input_instance *ins, struct flb_config *ctx, void *data)
{
    return exec_wasi_surface.dummy_init(ins, ctx, data);
}

static void call_dummy_pause(void *context, struct flb_config *ctx)
{
    exec_wasi_surface.dummy_pause(context, ctx);
}

static void call_dummy_resume(void *context, struct flb_config *ctx)
{
    exec_wasi_surface.dummy_resume(context, ctx);
}

static int call_dummy_exit(void *context, struct flb_config *ctx)
{
    return exec_wasi_surface.dummy_exit(context, ctx);
}

static int call_exec_wasi_init(struct flb_input_instance *ins, struct flb_config *ctx, void *data)
{
    return exec_wasi_surface.exec_wasi_init(ins, ctx, data);
}

static int call_other_init(struct flb_input_instance *ins, struct flb_config *ctx, void *data)
{
    return exec_wasi_surface.other_init(ins, ctx, data);
}

#define OPTION(kind, key, fallback, text)                                      \
    { .type = (kind), .name = (key), .def_value = (fallback), .desc = (text) }

static const option_type dummy_options[] = {
    OPTION(FLB_CONFIG_MAP_STR, "dummy", "{\"message\":\"dummy\"}", "the record, as JSON"),
    OPTION(FLB_CONFIG_MAP_INT, "rate", "1", "records in a second"),
    OPTION(FLB_CONFIG_MAP_INT, "samples", "0", "stop after so many records; 0 never stops"),
    { 0 },
};

static const option_type exec_wasi_options[] = {
    OPTION(FLB_CONFIG_MAP_STR, "wasi_path", NULL, "the program"),
    OPTION(FLB_CONFIG_MAP_CLIST, "accessible_paths", ".", "directories the program may use"),
    OPTION(FLB_CONFIG_MAP_STR, "parser", NULL, "parser of each line"),
    OPTION(FLB_CONFIG_MAP_INT, "interval_sec", "1", "time between runs"),
    OPTION(FLB_CONFIG_MAP_INT, "interval_nsec", "0", "time between runs"),
    OPTION(FLB_CONFIG_MAP_SIZE, "buf_size", "4096", "longest line"),
#if HOST_VERSION >= 40201
    OPTION(FLB_CONFIG_MAP_BOOL, "oneshot", "false", "run once"),
#else
    OPTION(FLB_CONFIG_MAP_BOOL, "bool", "false", "run once"),
#endif
#if HOST_VERSION >= 30105
    OPTION(FLB_CONFIG_MAP_SIZE, "wasm_heap_size", "8192", "heap of the interpreter"),
    OPTION(FLB_CONFIG_MAP_SIZE, "wasm_stack_size", "8192", "stack of the interpreter"),
#endif
    { 0 },
};

static const option_type no_options[] = { { 0 } };

/*
 * The names in one read-only object, so that what stands beside them is certain:
 * in the real program too, a NUL comes before a name that is a literal of its own.
 */
static const struct {
    char start[8];
    char exec_wasi[sizeof("exec_wasi")];
    char dummy[sizeof("dummy")];
    char emitter[sizeof("emitter")];
    char lib[sizeof("lib")];
    char tail[sizeof("tail")];
} names = { "", "exec_wasi", "dummy", "emitter", "lib", "tail" };

#define BUILT_IN(plugin, text, options, init)                                  \
    EXPORT plugin_type in_##plugin##_plugin = {                                \
        .name = names.plugin,                                                  \
        .description = (text),                                                 \
        .config_map = (options),                                               \
        .cb_init = (init),                                                     \
    }

BUILT_IN(emitter, "Record Emitter (not imitated)", no_options, call_other_init);
BUILT_IN(lib, "Library mode Input (not imitated)", no_options, call_other_init);
BUILT_IN(tail, "Tail files (not imitated)", no_options, call_other_init);
BUILT_IN(exec_wasi, "Exec WASI Input (imitated: does nothing)", exec_wasi_options,
         call_exec_wasi_init);

EXPORT plugin_type in_dummy_plugin = {
    .name = names.dummy,
    .description = "Generate dummy data",
    .config_map = dummy_options,
    .cb_init = call_dummy_init,
    .cb_pause = call_dummy_pause,
    .cb_resume = call_dummy_resume,
    .cb_exit = call_dummy_exit,
};
