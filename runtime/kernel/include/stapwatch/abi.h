/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The complete binary interface between a loaded module and its readers.
 *
 * A module has one character device, /dev/stapwatch/NAME, of mode 0600:
 *
 *   mmap (read-only)   header | manifest (JSON) | shared region | lane 0 | lane 1 | ... lane N-1
 *   read, poll         event records of all CPUs, merged by time
 *   ioctl              start, stop, sync, sums, key
 *
 * A lane is the per-CPU region of one possible CPU: what the handlers on that CPU
 * accumulate. The manifest says where each table is in the shared region and in
 * the lanes. Offsets in the header are file offsets for mmap and multiples of the
 * page size. All numbers are little-endian. runtime/abi/structs.py mirrors this
 * file.
 */
#ifndef STAPWATCH_ABI_H
#define STAPWATCH_ABI_H

#define SW_ABI	 1
#define SW_MAGIC "stapwtch"

enum sw_state {
	SW_LOADED = 0,	 /* no hook is attached yet */
	SW_STARTING = 1, /* begin probes run, hooks are attached */
	SW_RUNNING = 2,	 /* handlers run */
	SW_EXITING = 3,	 /* exit() or too many errors: the reader is to send SW_IOC_STOP */
	SW_STOPPED = 4,	 /* end probes have run; tables keep their values */
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
	u64 started_ns;	 /* CLOCK_REALTIME, 0 before the first start */
	u32 state;	 /* enum sw_state */
	u32 failed;	 /* more errors than tolerated: error probes run instead of end probes */
	u64 time_offset; /* add to an event's time for CLOCK_REALTIME, as of the last sync */
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
};

/*
 * At the start of the shared region: one for each probe, then one for each function
 * of the probes that hook several.
 *
 * `missed` counts hits that were not delivered to the handler (no return instance was left,
 * a kprobe was nested, a timer came late, a procfs file was used while handlers were
 * disabled), as of the last sync. The kernel increments its part of it without
 * atomicity, so that two CPUs that miss a hit at once may count as one: with kprobes and
 * kretprobes it is a lower bound. It does not count a program's return if 64 return
 * probes are pending in that thread already: such a call leaves no trace.
 */
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
 * offsets in the manifest. Only arrays with deletion use the members after `live`.
 */
struct sw_array_head {
	u32 used;  /* slots given out so far; readers look at no others */
	u32 live;  /* slots that hold an element */
	u32 free;  /* 1 + first slot of the list of deleted ones */
	u32 first; /* 1 + oldest live slot */
	u32 last;  /* 1 + newest live slot */
	u32 pad;
};

/*
 * Start of a slot; the key follows.
 *
 * `sequence` is even while the slot is live or has never been used, and odd while
 * it is changed or deleted; it grows with each change of the key. Only arrays with
 * deletion use `next` and `prev`.
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

struct sw_start {
	u64 max_errors; /* errors that are tolerated; one more ends the script. ~0: any number */
	s64 target;	/* what target() returns */
	s64 west;	/* seconds that local time is behind UTC */
	char zone[16];	/* name of the local time zone, with a NUL */
	u64 reserved[3];
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

#define SW_IOC_START _IOW('w', 1, struct sw_start)
#define SW_IOC_STOP  _IO('w', 2)
#define SW_IOC_SYNC  _IO('w', 3)
#define SW_IOC_SUMS  _IOWR('w', 4, struct sw_sums)
#define SW_IOC_KEY   _IO('w', 5) /* argument: a byte that was typed */

#endif
