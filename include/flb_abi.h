/*
 * What this project touches of Fluent Bit's binary interface, v2.0 to v5.1.
 *
 * Written by hand from the released sources, LP64 only. Fluent Bit copies a
 * plugin's registration by the size that *its own* build gives the struct, so
 * each layout is spelled out here under the generation that has it; which one
 * the running host has is found out when the plugin is loaded.
 *
 * Names of fields are the host's. A struct appears only where its layout is
 * shared with the host; whatever a function can tell is not read from a struct.
 *
 *   generation   struct flb_input_plugin        releases
 *   A            144 bytes                      2.0.0 - 2.0.6
 *   B            152 bytes                      2.0.7 - 3.1.x
 *   C            160 bytes                      3.2.0 - 3.2.2
 *   D            208 bytes                      3.2.3 - 5.0.x
 *   E            232 bytes                      5.1.x
 */
#ifndef FLB_ABI_H
#define FLB_ABI_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Only ever handled by pointer. */
struct flb_input_instance;
struct flb_config;
struct flb_parser;
struct cmt;
struct cmt_counter;

/* lib/monkey: mk_list.h; the node in every intrusive list of the host. */
struct mk_list {
    struct mk_list *prev;
    struct mk_list *next;
};

/* include/fluent-bit/flb_kv.h; an entry of an instance's property list. */
struct flb_kv {
    char *key;
    char *val;
    struct mk_list _head;
};

/* include/fluent-bit/flb_time.h */
struct flb_time {
    struct timespec tm;
};

/* include/fluent-bit/flb_log.h */
enum {
    FLB_LOG_ERROR = 1,
    FLB_LOG_WARN = 2,
    FLB_LOG_INFO = 3,
    FLB_LOG_DEBUG = 4,
    FLB_LOG_TRACE = 5
};

/* include/fluent-bit/flb_input.h: callbacks of an input plugin. */
typedef int (*flb_input_init_fn)(struct flb_input_instance *, struct flb_config *, void *);
typedef int (*flb_input_collect_fn)(struct flb_input_instance *, struct flb_config *, void *);
typedef void (*flb_input_context_fn)(void *, struct flb_config *);
typedef int (*flb_input_exit_fn)(void *, struct flb_config *);
typedef void (*flb_unused_fn)(void);

/* Offsets 0 to 71 of struct flb_input_plugin: the same in every release. */
#define FLB_INPUT_PLUGIN_HEAD                                                  \
    int type;                                                                  \
    void *proxy;                                                               \
    int flags;                                                                 \
    const char *name;                                                          \
    const char *description;                                                   \
    const void *config_map;                                                    \
    flb_input_init_fn cb_init;                                                 \
    flb_input_collect_fn cb_pre_run;                                           \
    flb_input_collect_fn cb_collect;

struct flb_input_plugin_head {
    FLB_INPUT_PLUGIN_HEAD
};

struct flb_input_plugin_a {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_flush_buf;
    flb_unused_fn cb_flush_end;
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_unused_fn cb_ingest;
    flb_input_exit_fn cb_exit;
    void *instance;
    struct mk_list _head;
};

struct flb_input_plugin_b {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_flush_buf;
    flb_unused_fn cb_flush_end;
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_unused_fn cb_ingest;
    flb_input_exit_fn cb_exit;
    flb_unused_fn cb_destroy;
    void *instance;
    struct mk_list _head;
};

struct flb_input_plugin_c {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_notification;
    flb_unused_fn cb_flush_buf;
    flb_unused_fn cb_flush_end;
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_unused_fn cb_ingest;
    flb_input_exit_fn cb_exit;
    flb_unused_fn cb_destroy;
    void *instance;
    struct mk_list _head;
};

/* struct flb_test_in_formatter, embedded by value from 3.2.3 on. */
struct flb_test_in_formatter {
    uint64_t opaque[6];
};

struct flb_input_plugin_d {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_notification;
    flb_unused_fn cb_flush_buf;
    flb_unused_fn cb_flush_end;
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_unused_fn cb_ingest;
    flb_input_exit_fn cb_exit;
    flb_unused_fn cb_destroy;
    struct flb_test_in_formatter test_formatter;
    void *instance;
    struct mk_list _head;
};

struct flb_input_plugin_e {
    FLB_INPUT_PLUGIN_HEAD
    flb_unused_fn cb_notification;
    flb_unused_fn cb_flush_buf;
    flb_unused_fn cb_flush_end;
    flb_input_context_fn cb_pause;
    flb_input_context_fn cb_resume;
    flb_unused_fn cb_pause_checked;
    flb_unused_fn cb_resume_checked;
    flb_unused_fn cb_ingest;
    flb_input_context_fn cb_pre_exit;
    flb_input_exit_fn cb_exit;
    flb_unused_fn cb_destroy;
    struct flb_test_in_formatter test_formatter;
    void *instance;
    struct mk_list _head;
};

/* include/fluent-bit/flb_config_map.h */
enum {
    FLB_CONFIG_MAP_STR = 0,
    FLB_CONFIG_MAP_INT = 2,
    FLB_CONFIG_MAP_BOOL = 3,
    FLB_CONFIG_MAP_SIZE = 5,
    FLB_CONFIG_MAP_TIME = 6,
    FLB_CONFIG_MAP_CLIST = 30
};
enum { FLB_CONFIG_MAP_MULT = 1 };

/* The members an author fills; the rest of an entry stays zero. */
#define FLB_CONFIG_MAP_HEAD                                                    \
    int type;                                                                  \
    const char *name;                                                          \
    const char *def_value;                                                     \
    int flags;                                                                 \
    int set_property;                                                          \
    uintptr_t offset;                                                          \
    const char *desc;

struct flb_config_map_head {
    FLB_CONFIG_MAP_HEAD
};

/* 2.0.0 - 5.0.2: val, mult, _head */
struct flb_config_map_96 {
    FLB_CONFIG_MAP_HEAD
    uint64_t value[4];
    struct mk_list _head;
};

/* 5.0.3 - 5.1.x: val, raw, mult, _head */
struct flb_config_map_104 {
    FLB_CONFIG_MAP_HEAD
    uint64_t value[5];
    struct mk_list _head;
};

_Static_assert(sizeof(struct flb_input_plugin_head) == 72, "generation-independent head");
_Static_assert(sizeof(struct flb_input_plugin_a) == 144, "generation A");
_Static_assert(sizeof(struct flb_input_plugin_b) == 152, "generation B");
_Static_assert(sizeof(struct flb_input_plugin_c) == 160, "generation C");
_Static_assert(sizeof(struct flb_input_plugin_d) == 208, "generation D");
_Static_assert(sizeof(struct flb_input_plugin_e) == 232, "generation E");
_Static_assert(sizeof(struct flb_config_map_96) == 96, "config map to 5.0.2");
_Static_assert(sizeof(struct flb_config_map_104) == 104, "config map from 5.0.3");
_Static_assert(sizeof(struct flb_time) == 16, "flb_time");

/*
 * Types of the host's functions we look up by name. The symbols themselves are
 * never linked: a host that lacks one must still be able to load the library.
 */
typedef const char *(*flb_input_get_property_fn)(const char *, struct flb_input_instance *);
typedef void (*flb_input_set_context_fn)(struct flb_input_instance *, void *);
typedef const char *(*flb_input_name_fn)(struct flb_input_instance *);
typedef int (*flb_input_log_check_fn)(struct flb_input_instance *, int);
typedef void (*flb_log_print_fn)(int, const char *, int, const char *, ...);
typedef int (*flb_input_set_collector_event_fn)(struct flb_input_instance *,
                                                flb_input_collect_fn, int,
                                                struct flb_config *);
typedef int (*flb_input_collector_fn)(int, struct flb_input_instance *);
typedef int (*flb_input_log_append_fn)(struct flb_input_instance *, const char *, size_t,
                                       const void *, size_t);
typedef int (*flb_input_log_append_records_fn)(struct flb_input_instance *, size_t,
                                               const char *, size_t, const void *, size_t);
typedef int (*flb_engine_exit_status_fn)(struct flb_config *, int);
/* The second argument is a struct flb_input_plugin: NULL stands for all inputs. */
typedef int (*flb_engine_flush_fn)(struct flb_config *, void *);
typedef struct flb_parser *(*flb_parser_get_fn)(const char *, struct flb_config *);
typedef int (*flb_parser_do_fn)(struct flb_parser *, const char *, size_t, void **, size_t *,
                                struct flb_time *);
typedef int (*flb_lib_free_fn)(void *);
typedef struct cmt *(*flb_input_get_cmt_instance_fn)(struct flb_input_instance *);
typedef struct cmt_counter *(*cmt_counter_create_fn)(struct cmt *, char *, char *, char *, char *,
                                                     int, char **);
typedef int (*cmt_counter_set_fn)(struct cmt_counter *, uint64_t, double, int, char **);
/* The text belongs to the caller, until it is given back. */
typedef char *(*cmt_encode_text_create_fn)(struct cmt *);
typedef void (*cmt_encode_text_destroy_fn)(char *);

#endif
