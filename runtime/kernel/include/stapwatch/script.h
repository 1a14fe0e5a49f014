/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface of a generated script to the runtime: one `sw_script`, with a row
 * for each probe.
 */
#ifndef STAPWATCH_SCRIPT_H
#define STAPWATCH_SCRIPT_H

struct sw_regs; /* the kernel's struct pt_regs */

/*
 * All kinds of hooks: the word of `enum sw_hook`, the word of `enum sw_handler_type`, and the ops
 * that attach it (probes/hook.h). A kind's settings are its member of the union in `struct
 * sw_probe`.
 */
/* clang-format off */
#define SW_HOOKS(row)					\
	row(BEGIN, SESSION, sw_session_ops)		\
	row(END, SESSION, sw_session_ops)		\
	row(ERROR, SESSION, sw_session_ops)		\
	row(TIMER_NS, REGS, sw_hrtimer_ops)		\
	row(TIMER_JIFFIES, REGS, sw_jiffies_timer_ops)	\
	row(PROFILE, REGS, sw_profile_ops)		\
	row(FTRACE, FTRACE, sw_ftrace_ops)		\
	row(KPROBE, KPROBE, sw_kprobe_ops)		\
	row(KRETPROBE, KRETPROBE, sw_kretprobe_ops)	\
	row(TRACEPOINT, TRACEPOINT, sw_tracepoint_ops)	\
	row(PAIRED, NONE, sw_paired_entry_ops)		\
	row(INPUT_CHAR, PLAIN, sw_session_ops)		\
	row(INPUT_LINE, PLAIN, sw_session_ops)		\
	row(PROCFS_READ, PLAIN, sw_procfs_ops)		\
	row(PROCFS_WRITE, PLAIN, sw_procfs_ops)		\
	row(NETFILTER, PACKET, sw_netfilter_ops)	\
	row(WATCHPOINT, EVENT, sw_watchpoint_ops)	\
	row(PERF, EVENT, sw_perf_ops)			\
	row(PROCESS, REGS, sw_process_ops)		\
	row(UPROBE, UPROBE, sw_uprobe_ops)		\
	row(URETPROBE, URETPROBE, sw_uprobe_ops)

enum sw_hook {
#define SW_HOOK_WORD(word, handler, ops) SW_##word,
	SW_HOOKS(SW_HOOK_WORD)
#undef SW_HOOK_WORD
	SW_NR_HOOKS
};
/* clang-format on */

/* The C types of handlers. */
enum sw_handler_type {
	SW_HANDLER_NONE,       /* the kind has no handler of its own */
	SW_HANDLER_SESSION,    /* void handler(void), when the session begins or ends */
	SW_HANDLER_PLAIN,      /* void handler(void) */
	SW_HANDLER_REGS,       /* sw_regs_handler */
	SW_HANDLER_FTRACE,     /* sw_ftrace_handler */
	SW_HANDLER_KPROBE,     /* sw_kprobe_handler */
	SW_HANDLER_KRETPROBE,  /* sw_kretprobe_handler, and one for the entry */
	SW_HANDLER_TRACEPOINT, /* void handler(void *data, u64 argument, ...) */
	SW_HANDLER_PACKET,     /* sw_packet_handler */
	SW_HANDLER_EVENT,      /* sw_event_handler */
	SW_HANDLER_UPROBE,     /* sw_uprobe_handler */
	SW_HANDLER_URETPROBE,  /* sw_uretprobe_handler, and one for the entry */
};

/* `regs`: registers of the interrupted code, or of the process that made the hit. */
typedef void sw_regs_handler(struct sw_regs *regs);

/*
 * ftrace's trampoline calls it directly. It saves only the argument registers and
 * the stack pointer.
 */
typedef void sw_ftrace_handler(unsigned long ip, unsigned long parent_ip, void *ops,
			       struct sw_regs *regs);

/* Returns 0. */
typedef int sw_kprobe_handler(void *kprobe, struct sw_regs *regs);

/* Returns 0; at a function's entry another value means that its return is not probed. */
typedef int sw_kretprobe_handler(void *instance, struct sw_regs *regs);

/*
 * Returns the verdict on a packet (struct sk_buff). `in` and `out`: struct net_device, 0 if the
 * packet has none there.
 */
typedef u32 sw_packet_handler(u64 hook, u64 packet, u64 in, u64 out);

/* `event`: struct perf_event; `sample`: struct perf_sample_data. */
typedef void sw_event_handler(void *event, void *sample, struct sw_regs *interrupted);

/* `function`: an index into the probe's functions. */
typedef void sw_uprobe_handler(unsigned long function, struct sw_regs *regs);

/* `saved`: what the entry keeps for the return. At the entry, 0 means that it is kept. */
typedef void sw_uretprobe_handler(unsigned long function, struct sw_regs *regs, void *saved);
typedef int sw_uretprobe_entry(unsigned long function, struct sw_regs *regs, void *saved);

#define SW_ACCEPT 1 /* the kernel's NF_ACCEPT: the packet goes on as if there were no probe */

/* The event that a SW_PROCESS probe waits for. */
enum sw_process_event {
	SW_PROCESS_BEGIN,
	SW_PROCESS_END,
	SW_PROCESS_THREAD_BEGIN,
	SW_PROCESS_THREAD_END,
	SW_PROCESS_SYSCALL,
	SW_PROCESS_SYSCALL_RETURN,
};

/* One of the functions that a probe hooks. */
struct sw_function {
	const char *symbol;
	s64 offset; /* SW_FTRACE: from register_ftrace_function(); 0: unknown. Else in the file */
};

/* A program's file. A file of another size, or with other bytes at `offset`, is not probed. */
struct sw_binary {
	const char *path;
	u64 size;
	u64 offset;
	const u8 *content;
	u32 content_size; /* at most SW_MOST_CONTENT */
};

#define SW_MOST_CONTENT 64

/* The processes in which a probe's hits count: those for which each of these is true. */
struct sw_processes {
	const char *program; /* they run this file; NULL: any */
	s64 pid;	     /* it is this one; 0: any */
	bool target;	     /* if there is a target(): it is that one, or a descendant */
	const struct sw_binary *binary; /* the file that is probed; NULL: none */
};

/* Types of a module of the kernel that the script was compiled with: its BTF. */
struct sw_module_types {
	const char *module;
	u64 size;
	u32 checksum; /* Adler-32 */
};

struct sw_probe {
	enum sw_hook hook;
	u32 flags;	    /* SW_PROBE_* */
	const char *symbol; /* probed object: for messages, and for hooks found by name */
	void *handler;	    /* its type: see SW_HOOKS */
	s32 actions;	    /* of a hit, beyond those that its handler has at first: see charge.h */
	const struct sw_function *functions; /* hooked together, by offset; NULL: `symbol` alone */
	u32 nr_functions;
	u32 status; /* the first of `functions`: an index into the status of all probes */
	const struct sw_processes *processes; /* SW_PROCESS, SW_UPROBE, SW_URETPROBE */
	union {
		struct {
			s64 order; /* lower ones run first */
		} session;	   /* SW_BEGIN, SW_END, SW_ERROR */
		struct {
			s64 period;    /* ns, or jiffies */
			s64 randomize; /* each period is longer or shorter by at most this */
		} timer;	       /* SW_TIMER_NS, SW_TIMER_JIFFIES */
		struct {
			s64 rate; /* hits a second on each CPU; 0: HZ */
		} profile;
		struct {
			s64 offset; /* as in struct sw_function */
		} ftrace;
		struct {
			s64 offset; /* in a module: from `symbol`; else as in sw_function */
		} kprobe;
		struct {
			sw_kretprobe_handler *entry; /* NULL: none */
			s64 maxactive;		     /* calls in progress; 0: the default */
			u32 data_size;		     /* bytes kept from entry to return */
		} kretprobe;
		struct {
			u32 kretprobe; /* the index of the probe whose `entry` counts the hits */
		} paired;
		struct {
			s32 umask;	/* -1: the owner only */
			u32 value_size; /* bytes of $value; 0: the default */
		} procfs;
		struct {
			u32 family;  /* NFPROTO_* */
			u32 hooknum; /* NF_INET_*, NF_ARP_*, ... */
			s32 priority;
		} netfilter;
		struct {
			u64 address; /* 0: that of `symbol` */
			u32 length;  /* bytes: 1, 2, 4 or 8 */
			u32 access;  /* HW_BREAKPOINT_* */
		} watchpoint;
		struct {
			u32 type; /* and `config`: as in struct perf_event_attr */
			u64 config;
			s64 period;    /* events a hit, or */
			s64 frequency; /* hits a second */
		} perf;
		struct {
			enum sw_process_event event;
		} process;
		struct {
			s64 offset;		   /* in the file; with `functions` unused */
			s64 semaphore;		   /* file offset of a count of users; 0: none */
			sw_uretprobe_entry *entry; /* NULL: none */
			s64 maxactive;		   /* calls in progress; 0: the default */
			u32 data_size;		   /* bytes kept from entry to return */
		} uprobe;			   /* SW_UPROBE, SW_URETPROBE */
	};
};

/* The bytes that a kretprobe's instance keeps from the call's entry to its return. */
#define SW_RETURN_DATA(instance) ((void *)((u8 *)(instance) + SW_KRETPROBE_DATA))

#define SW_PROBE_OPTIONAL 1 /* the session starts even without the hook (`?`) */
#define SW_PROBE_ENTRY	  2 /* SW_UPROBE: at a function's first instruction */
#define SW_PROBE_EMBEDDED 4 /* the handler may run C of the script's own */

/**
 * struct sw_script - the script as the runtime sees it
 * @name: name of the module and of its device
 * @build_id: build-id of the kernel that the script was compiled for
 * @build_id_size: bytes of @build_id
 * @nr_probes: number of probes
 * @probes: the probes
 * @manifest: JSON that describes the tables to readers
 * @manifest_end: end of @manifest
 * @area_size: bytes of one CPU's block: private part and lane
 * @lane_offset: where the lane begins in the block, a multiple of the page size
 * @lane_size: bytes of the lane
 * @probe_counts: offset in the lane of struct sw_probe_counts[@nr_probes]
 * @lane_counts: offset in the lane of struct sw_lane_counts
 * @shared_size: bytes of the shared region
 * @probe_status: offset in the shared region of struct sw_probe_status[@nr_statuses]
 * @nr_statuses: one for each probe, then one for each function of the probes that
 *	hook several
 * @ring_size: bytes of each CPU's event ring, a power of two; 0 if the script
 *	prints nothing
 * @lock_turns: turns of waiting for a lock before a hit is skipped; 0 for the
 *	default
 * @max_time: most ns of a hit, looked at where work is charged; 0 for the default
 * @init: gives globals their initial values; NULL if there are none
 * @armed: whether a probe's condition holds; NULL if no probe has one
 * @wanted: @armed of each probe, as handlers last saw it
 * @nr_symbols: number of kernel variables that the script uses
 * @symbols: their names
 * @addresses: their addresses, which the runtime fills in
 * @nr_module_types: number of modules whose types the script uses
 * @module_types: the modules
 * @nr_unwind: number of files of programs that backtraces are made of; at most
 *	SW_UNWIND_MOST_FILES
 * @unwind: their unwind tables
 *
 * One CPU's memory is one block:
 *
 *   [ struct sw_context | struct sw_meter[@nr_probes] | handlers' frames ][ lane ]
 *   0                                                                          ^ @lane_offset
 */
struct sw_script {
	const char *name;
	const u8 *build_id;
	u32 build_id_size;
	u32 nr_probes;
	const struct sw_probe *probes;
	const char *manifest;
	const char *manifest_end;
	u64 area_size; /* offsets in it have 32 bits: more is refused when the module is loaded */
	u64 lane_size;
	u64 shared_size;
	u64 ring_size; /* bytes of a CPU's event ring, a power of two; 0: no events */
	u32 lane_offset;
	u32 probe_counts;
	u32 lane_counts;
	u32 probe_status; /* offset in the shared region of struct sw_probe_status[nr_statuses] */
	u32 nr_statuses;  /* of all probes, then of the functions of probes that have several */
	u32 lock_turns;	  /* for a lock, before the hit is skipped; 0: the default */
	u64 max_time;	  /* ns of a hit; 0: the default */
	void (*init)(void *shared); /* gives globals their initial values; NULL for none */
	bool (*armed)(u32 probe);   /* whether a probe's condition holds; NULL: no conditions */
	u8 *wanted;		    /* armed() of each probe, as handlers last saw it */
	u32 nr_symbols;		    /* variables of the kernel that the runtime finds */
	const char *const *symbols;
	u64 *addresses;
	u32 nr_module_types;
	const struct sw_module_types *module_types;
	u32 nr_unwind;
	const struct sw_unwind_table *unwind;
};

/* Defined by the script. */
extern const struct sw_script sw_script;

/* Set by the runtime before any handler runs; constant while the module is loaded. */
extern void **sw_areas;	     /* per-CPU pointer (as of alloc_percpu()) to each CPU's block */
extern void *sw_shared;	     /* the shared region */
extern u32 sw_nr_lanes;	     /* number of possible CPUs */
extern void **sw_lane_areas; /* each lane's block, for handlers that merge */

/* Visits the number of each lane. */
#define sw_for_each_lane(lane) for ((lane) = 0; (lane) < sw_nr_lanes; (lane)++)

#endif
