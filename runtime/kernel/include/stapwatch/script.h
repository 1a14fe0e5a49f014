/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a generated script hands to the runtime: one `sw_script`, with a table that
 * has a row for each probe.
 */
#ifndef STAPWATCH_SCRIPT_H
#define STAPWATCH_SCRIPT_H

struct sw_regs; /* the kernel's struct pt_regs */

/*
 * `number` and the handler's signature, for each kind of hook:
 *
 *   BEGIN, END, ERROR  order               void handler(void)
 *   TIMER_NS           interval in ns      void handler(struct sw_regs *interrupted)
 *   TIMER_JIFFIES      interval            the same
 *   PROFILE            hits/s/CPU, 0: HZ   the same
 *   FTRACE             -                   sw_ftrace_handler
 *   KPROBE             -                   int handler(void *kprobe, struct sw_regs *)
 *   KRETPROBE          maxactive, 0: auto  int handler(void *instance, struct sw_regs *)
 *   TRACEPOINT         -                   void handler(void *data, arguments ...)
 *   INPUT_*            -                   void handler(void)
 *   PROCFS_*           umask, -1: none     void handler(void)
 *   PAIRED             a KRETPROBE's index none: that probe's `entry` counts this one's hits
 *   NETFILTER          priority            sw_packet_handler; `type`: the protocol family,
 *                                          `config`: the hook's number in it
 *   WATCHPOINT         bytes: 1, 2, 4, 8   sw_event_handler; `symbol` or, if not 0, the address
 *                                          `offset`; `type`: SW_WATCH_*
 *   PERF               events a hit        sw_event_handler; `type` and `config` as in struct
 *                                          perf_event_attr; SW_PROBE_FREQUENCY: `number` is hits a
 *                                          second
 *   PROCESS            process id, 0: any  void handler(struct sw_regs *of_the_process)
 *   UPROBE, URETPROBE  the same            sw_uprobe_handler
 */
enum sw_hook {
	SW_BEGIN,
	SW_END,
	SW_ERROR,
	SW_TIMER_NS,
	SW_TIMER_JIFFIES,
	SW_PROFILE,
	SW_FTRACE,
	SW_KPROBE,
	SW_KRETPROBE,
	SW_TRACEPOINT,
	SW_PAIRED,
	SW_INPUT_CHAR,
	SW_INPUT_LINE,
	SW_PROCFS_READ,
	SW_PROCFS_WRITE,
	SW_NETFILTER,
	SW_WATCHPOINT,
	SW_PERF,
	SW_PROCESS,
	SW_UPROBE,
	SW_URETPROBE,
};

/* What a SW_PROCESS probe waits for: its `offset`. */
enum sw_process_event {
	SW_PROCESS_BEGIN,
	SW_PROCESS_END,
	SW_PROCESS_THREAD_BEGIN,
	SW_PROCESS_THREAD_END,
	SW_PROCESS_SYSCALL,
	SW_PROCESS_SYSCALL_RETURN,
};

/* Called straight from ftrace's trampoline; from `regs` only arguments and the stack pointer can be
 * read. */
typedef void sw_ftrace_handler(unsigned long ip, unsigned long parent_ip, void *ops,
			       struct sw_regs *regs);

/* Gives the verdict on a packet (struct sk_buff). `in` and `out`: struct net_device, 0 where there
 * is none. */
typedef u32 sw_packet_handler(u64 hook, u64 packet, u64 in, u64 out);

/* Of the perf subsystem. `event`: its struct perf_event. */
typedef void sw_event_handler(void *event, void *sample, struct sw_regs *interrupted);

/* Accesses that a watchpoint tells of. */
#define SW_WATCH_WRITES 2
#define SW_WATCH_ALL	3

#define SW_ACCEPT 1 /* the kernel's NF_ACCEPT: the packet goes on as if nobody had looked */

/* `place`: an index into the probe's functions. */
typedef void sw_uprobe_handler(unsigned long place, struct sw_regs *regs);

/* One of the functions that a probe hooks. */
struct sw_function {
	const char *symbol;
	s64 offset; /* from register_ftrace_function(), 0: not known; SW_UPROBE: in the file */
};

/* A program's file. One of another size, or with other bytes at `offset`, is not probed. */
struct sw_binary {
	const char *path;
	u64 size;
	u64 offset;
	const u8 *content;
	u32 content_size; /* at most SW_MOST_CONTENT */
};

#define SW_MOST_CONTENT 64

struct sw_probe {
	enum sw_hook hook;
	u32 flags; /* SW_PROBE_* */
	const char *symbol;
	s64 offset;    /* SW_KPROBE: into the symbol; SW_FTRACE: as in sw_function;
			SW_WATCHPOINT: the address */
	s64 number;    /* interval, order, rate, maxactive: see the hook */
	s64 randomize; /* timers: +- this much, in the unit of `number`; PROCFS_*: bytes of the
			  value, 0: the default */
	u32 type;      /* and `config`: see the hook */
	s64 config;
	void *handler;
	void *entry; /* SW_KRETPROBE: int entry(void *instance, struct sw_regs *), NULL for none;
			non-zero: no return wanted */
	const struct sw_function *functions; /* hooked together, in order of their offsets; NULL:
						`symbol` alone */
	u32 nr_functions;
	u32 status;    /* of the first of `functions`: an index into the status of all probes */
	u32 data_size; /* SW_KRETPROBE: bytes kept from entry to return */
	const char *program;		/* only in processes that run this file; NULL: in all */
	const struct sw_binary *binary; /* SW_UPROBE */
	s64 semaphore; /* SW_UPROBE: the place in the file of a count of users; 0: none */
};

/* The data of a return probe's instance, kept from the function's entry to its return. */
#define SW_RETURN_DATA(instance) ((void *)((u8 *)(instance) + SW_KRETPROBE_DATA))

#define SW_PROBE_OPTIONAL  1 /* `?`: failure to attach is only a warning */
#define SW_PROBE_FREQUENCY 2 /* SW_PERF: `number` is a frequency */
#define SW_PROBE_TARGET	   4 /* if there is a target(): only in it and its descendants */
#define SW_PROBE_ENTRY	   8 /* SW_UPROBE: at a function's first instruction */

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
 * @init: gives globals their initial values; NULL if there are none
 * @armed: whether a probe's condition holds; NULL if no probe has one
 * @wanted: @armed of each probe, as handlers last saw it
 * @nr_symbols: number of kernel variables that the script uses
 * @symbols: their names
 * @addresses: their addresses, which the runtime fills in
 *
 * One CPU's memory is one block:
 *
 *   [ struct sw_context | handlers' frames ][ lane ]
 *   0                                       ^ @lane_offset: readers map from here
 */
struct sw_script {
	const char *name;
	const u8 *build_id;
	u32 build_id_size;
	u32 nr_probes;
	const struct sw_probe *probes;
	const char *manifest;
	const char *manifest_end;
	u32 area_size;
	u32 lane_offset;
	u32 lane_size;
	u32 probe_counts;
	u32 lane_counts;
	u32 shared_size;
	u32 probe_status;
	u32 nr_statuses;
	u32 ring_size;
	u32 lock_turns;
	void (*init)(void *shared);
	bool (*armed)(u32 probe);
	u8 *wanted;
	u32 nr_symbols;
	const char *const *symbols;
	u64 *addresses;
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
