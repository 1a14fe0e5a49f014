/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The complete binary interface between a loaded module and its readers.
 *
 * A module has one character device, /dev/stapwatch/NAME, of mode 0600:
 *
 *   mmap (read-only)   header | manifest (JSON) | shared region | lane 0 | lane 1 | ... lane N-1
 *   read, poll         event records of all CPUs, merged by time
 *   ioctl              start, stop, exit, sync, sums, doubles, consumed, key, arm, disarm, costs
 *
 * A lane is the per-CPU region of one possible CPU: what the handlers on that CPU
 * accumulate. The manifest says where each table is in the shared region and in
 * the lanes. Offsets in the header are file offsets for mmap and multiples of the
 * page size. All numbers are little-endian. runtime/abi/structs.py mirrors this
 * file.
 *
 * Readers of other releases read a module, because it outlives the release that made it:
 *
 *   - A structure grows at its end only, and a member never changes its meaning. `sizes` in
 *     the header says how large each one is in this module: a reader that knows more members
 *     takes 0 for those that are not there, and one that knows fewer skips the rest.
 *   - What a reader sends has the size that the module asks for: members that the module
 *     does not know are cut off, and 0 stands for those that the reader does not know. So 0
 *     means the behaviour of before.
 *   - Structures inside of others, as sw_budgets in sw_start, do not grow.
 *   - Numbers of requests, states and kinds of events are never used again.
 *   - SW_ABI changes only when an older reader must not read a module; then readers get
 *     code for both.
 *
 * The manifest has rules of its own: runtime/abi/manifest.py.
 */
#ifndef STAPWATCH_ABI_H
#define STAPWATCH_ABI_H

#define SW_ABI	 2
#define SW_MAGIC "stapwtch"

enum sw_state {
	SW_LOADED = 0,	 /* no hook is attached yet */
	SW_STARTING = 1, /* begin probes run, hooks are attached */
	SW_RUNNING = 2,	 /* handlers run */
	SW_EXITING = 3,	 /* exit() or too many errors: the reader is to send SW_IOC_STOP */
	SW_STOPPED = 4,	 /* end probes have run; tables keep their values */
	SW_DISARMED = 5, /* hooks are out; tables keep their values, and SW_IOC_ARM continues */
};

/* Why a script was disarmed: the budget that it exceeded, or a request. */
enum sw_breach {
	SW_BREACH_NONE = 0,
	SW_BREACH_CPU = 1,
	SW_BREACH_ONE_CPU = 2,
	SW_BREACH_HIT_TIME = 3,
	SW_BREACH_HIT_RATE = 4,
	SW_BREACH_REQUEST = 5, /* SW_IOC_DISARM */
};

/*
 * What a script may take; 0 in a member: no limit. A script that takes more is disarmed as a
 * whole, because a probe that goes on without another one of its script (an entry without its
 * return) would make wrong numbers.
 */
struct sw_budgets {
	u64 cpu_ppm;	     /* CPU time of all online CPUs together, in millionths of theirs */
	u64 one_cpu_ppm;     /* CPU time of any one CPU, in millionths of it */
	u64 hit_ns;	     /* time of one hit */
	u64 hits_per_second; /* of all probes on all CPUs */
};

/*
 * Bytes of the structures in this module. All are 0 in modules of the first release with
 * SW_ABI 2, whose sizes readers know.
 */
struct sw_sizes {
	u32 header;
	u32 probe_counts;
	u32 probe_status;
	u32 lane_counts;
	u32 event;
	u32 start;
	u32 pad[2];
};

struct sw_header {
	u8 magic[8];
	u32 abi;
	u32 nr_lanes; /* number of possible CPUs */
	u64 manifest_offset;
	u64 manifest_size; /* bytes of JSON */
	u64 shared_offset;
	u64 shared_size;
	u64 lanes_offset;
	u64 lane_stride; /* from one lane's start to the next one's */
	u64 memory;	 /* bytes of kernel memory that this module allocated */
	u64 loaded_ns;	 /* CLOCK_REALTIME */
	u64 started_ns;	 /* CLOCK_REALTIME; 0: it has not started, or in vain */
	u32 state;	 /* enum sw_state */
	u32 failed;	 /* more errors than tolerated: error probes run instead of end probes */
	u64 time_offset; /* add to an event's time for CLOCK_REALTIME, as of the last sync */
	/* Of the last disarm since the start; set before `state` says SW_DISARMED. */
	u32 breach;	  /* enum sw_breach */
	u32 breach_probe; /* index of the probe that took most CPU time; ~0: none */
	u64 breach_value; /* what was measured, in the unit of the budget */
	u64 breach_limit; /* the budget */
	u64 disarmed_ns;  /* CLOCK_REALTIME */
	u64 disarms;	  /* number of disarms since the start */
	struct sw_sizes sizes;
};

/*
 * One for each probe, at the start of each lane.
 *
 * `hits` counts handlers that were entered, whatever became of them: those that end at once
 * because the probe's condition is false, those that `skipped_lock` counts, and those that
 * `errors` counts are hits, too. So a handler's body ran in hits - skipped_lock cases at
 * most. `skipped_reentrant` is not part of `hits`: such a hit never entered the handler.
 * While a hook is detached because of its condition, nothing is counted.
 */
struct sw_probe_counts {
	u64 hits;	       /* handlers entered */
	u64 skipped_reentrant; /* hits during another handler of this module on the same CPU */
	u64 skipped_lock;      /* those of `hits` that waited for a lock in vain */
	u64 errors;	       /* those of `hits` that a script error ended */
	u64 cpu_ns;	       /* time that the probe took, its hook included: an estimate */
};

/*
 * At the start of the shared region: one for each probe, then one for each function
 * of the probes that hook several.
 *
 * `missed` counts hits that were not delivered to the handler, as of the last sync: no return
 * instance was left, a kprobe was nested, a timer or perf event came late or was throttled, 64
 * returns were pending in a program's thread, a procfs file was used while handlers were
 * disabled.
 *
 * With kprobes and kretprobes it is a lower bound: the kernel increments its part without
 * atomicity, so that two CPUs that miss a hit at once may count as one. With a perf event at a
 * frequency, but for a clock's, it is the number of pauses that perf made, each of which costs
 * one hit or more. What a perf event does not count is not missed: while its CPU has fewer
 * counters than events, and what happens inside of perf's own handling of a software event.
 *
 * `error` is SW_WAITS while the module of the kernel that is probed is not loaded, or has freed
 * the code that is probed. The hook is attached when the module is loaded, before it runs.
 */
#define SW_WAITS (-49) /* -EUNATCH */

struct sw_probe_status {
	u64 missed;
	u32 armed; /* 1: the hook is attached */
	s32 error; /* negative errno if the hook could not be attached */
};

/* After the probe counts in each lane. */
struct sw_lane_counts {
	u64 events;	 /* records written */
	u64 events_lost; /* records dropped because the ring was full */
	u64 strings_cut; /* strings cut because they did not fit their buffer */
};

/*
 * Start of an array in the shared region. The index and the slots follow, at
 * offsets in the manifest. Only arrays with deletion use `first` and `last`.
 */
struct sw_array_head {
	u32 used;  /* slots given out so far; readers look at no others */
	u32 live;  /* slots that hold an element */
	u32 free;  /* 1 + first slot of the list of deleted ones */
	u32 first; /* 1 + oldest live slot */
	u32 last;  /* 1 + newest live slot */
	/*
	 * Of an array without deletion: odd while SW_IOC_EXPIRE removes elements, and another
	 * number whenever it has removed some or one of their slots is used again. While it is
	 * the same and even, a slot that readers know holds what it held.
	 */
	u32 changes;
};

/*
 * Start of a slot; the key follows.
 *
 * `sequence` is even while the slot is live or has never been used, and odd while
 * it is changed or deleted; it grows with each change of the key. Deleted slots use
 * `next`, and arrays with deletion `next` and `prev`.
 */
struct sw_slot {
	u32 sequence;
	u32 hash;
	u32 next; /* 1 + neighbours in order of insertion */
	u32 prev;
};

enum sw_event_kind {
	SW_EVENT_PRINT = 0,   /* site: index into the manifest's prints */
	SW_EVENT_ERROR = 1,   /* site: index into the manifest's errors; argument: the text */
	SW_EVENT_STATE = 2,   /* site: the new enum sw_state */
	SW_EVENT_WARNING = 3, /* argument: the text */
	SW_EVENT_COMMAND = 4, /* argument: a command for the reader's shell */
	SW_EVENT_SWITCH = 5,  /* the reader continues its output in a new file */
};

/*
 * Start of an event record; the arguments follow:
 *
 *   number      s64
 *   string      u64 length without a NUL | bytes, padded to 8
 *   histogram   u64 number of words | the words
 */
struct sw_event {
	u32 size; /* of the record, a multiple of 8 */
	u16 kind; /* enum sw_event_kind */
	u16 cpu;
	u32 site;
	u32 probe; /* index into the manifest's probes; 0xffffffff: none */
	u64 time;  /* ns, CLOCK_MONOTONIC */
};

/*
 * What a hook adds to the time of its handler: a number for each way in which the kernel
 * calls handlers. It depends on the machine and the kernel, and takes long to measure, so
 * whoever starts modules measures it once and hands it to all (SW_IOC_COSTS).
 */
enum sw_cost {
	SW_COST_FTRACE = 0,
	SW_COST_KPROBE = 1, /* of a function's first instruction */
	SW_COST_KRETPROBE = 2,
	SW_COST_TIMER = 3, /* a timer's interrupt */
	SW_NR_COSTS = 6,   /* with room for two more */
};

struct sw_start {
	u64 max_errors; /* errors that are tolerated; one more ends the script. ~0: any number */
	s64 target;	/* what target() returns */
	s64 west;	/* seconds that local time is behind UTC */
	char zone[16];	/* name of the local time zone, with a NUL */
	struct sw_budgets budgets;
	u32 hook_ns[SW_NR_COSTS]; /* by enum sw_cost; 0: the module uses a constant of its own */
	/*
	 * 1 + the descriptor of the device of the module that this one replaces, or 0: when this
	 * module's hooks are attached, its handlers start to run and those of the other one cease
	 * to, as by SW_IOC_EXIT, in one step of some microseconds. Until then, and after an error,
	 * the other one is as it was. Both are of a release that has this member.
	 */
	u64 instead_of;
};

/*
 * Words of all lanes added up, modulo 2^64: words[i] is the sum of the word at
 * `offset` + 8 * i of every lane. Each word is read with one load.
 */
struct sw_sums {
	u64 offset; /* from a lane's start, a multiple of 8 */
	u64 count;
	u64 words[]; /* out */
};

/*
 * The same of whole rows, of which the words from `first` on, `count` of them, are counts:
 * these become IEEE 754 doubles, and so does their sum, in the word behind them.
 */
struct sw_doubles {
	u64 offset; /* of the first row, from a lane's start */
	u32 rows;
	u32 row_words;
	u32 first;
	u32 count;
	u32 begin; /* out: the first of the counts that is not 0 in every row; `count` if all are */
	u32 end;   /* out: the one behind the last such; 0 */
	u64 words[]; /* out */
};

/* Where a table is. Offsets are in the shared region, except that of rows in a lane. */
struct sw_table {
	u64 rows; /* offset of row 0 */
	u64 head; /* of an array: of its struct sw_array_head; the index follows, then the slots */
	u64 lock; /* likewise: of its lock */
	u32 entries;  /* of the index, a power of two */
	u32 capacity; /* slots; 0: a scalar */
	u32 stride;   /* bytes of a slot */
	u32 key_size; /* bytes, a multiple of 8 */
	u32 row_size; /* bytes, a multiple of 8 */
	u32 shared;   /* rows are in the shared region */
};

/*
 * An element that another module has counted, for a table that this one has, too. `data` is
 * the key, if there is one, then the row. Words are added to a row in the lane of the CPU that
 * handles the request, and replace a row in the shared region.
 */
struct sw_carry {
	struct sw_table table;
	u8 data[];
};

#define SW_EXPIRE_MOST 64

/*
 * Elements of an array that no handler reads, to be removed, so that their slots are used again.
 * Each is a u32, 1 + its slot; a u32, its sequence; and its row, of lanes the sum of their rows. An
 * element that has changed since they were read stays.
 */
struct sw_expire {
	struct sw_table table;
	u32 count;   /* SW_EXPIRE_MOST at most */
	u32 removed; /* out */
	u64 data[];
};

#define SW_IOC_START _IOW('w', 1, struct sw_start)
#define SW_IOC_STOP  _IO('w', 2)
#define SW_IOC_SYNC  _IO('w', 3) /* EBUSY during a start or a stop */
#define SW_IOC_SUMS  _IOWR('w', 4, struct sw_sums)
#define SW_IOC_KEY   _IO('w', 5) /* argument: a byte that was typed */
/*
 * From SW_DISARMED to SW_RUNNING: attaches the hooks again, under new budgets; begin probes do
 * not run again. In SW_RUNNING it only replaces the budgets. EBUSY in other states.
 */
#define SW_IOC_ARM _IOW('w', 6, struct sw_budgets)
/* From SW_RUNNING to SW_DISARMED, where it does nothing. EBUSY in other states. */
#define SW_IOC_DISARM _IO('w', 7)
/*
 * The argument is sw_start.hook_ns: measures those costs that the script's hooks need and that
 * are zero. It takes some hundred milliseconds, and hooks a function of the kernel meanwhile.
 * EBUSY unless the state is SW_LOADED.
 */
#define SW_IOC_COSTS _IOWR('w', 8, u32[SW_NR_COSTS])
/*
 * read() gives the space of the records that it returns back to the handlers at once,
 * until the file sends SW_IOC_CONSUMED. From then on the file is the only reader, until it
 * is closed: the others get EBUSY. What it reads stays in the rings, and each
 * SW_IOC_CONSUMED gives back those of the records it has read that are older than the
 * argument, a sw_event's time (0: none; ~0: all). What it has not given back when it is
 * closed is read again by the next reader. So a reader that sends the request when records
 * have had their effect loses none if it is killed; the next one repeats at most those
 * that it had read and not given back.
 */
#define SW_IOC_CONSUMED _IOW('w', 9, u64)
#define SW_IOC_EXIT	_IO('w', 10) /* as exit(), at any time: no handler starts any more */
/* ENOSPC: the array is full. EBUSY: `shared`, and the state is not SW_LOADED. */
#define SW_IOC_CARRY _IOW('w', 11, struct sw_carry)
/* Waits until handlers that have found an element have ended. */
#define SW_IOC_EXPIRE  _IOWR('w', 12, struct sw_expire)
#define SW_IOC_DOUBLES _IOWR('w', 13, struct sw_doubles)

#endif
