/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * abi.h - what a loaded module shows to its reader.
 *
 * A module has one character device, /dev/stapwatch/NAME, of mode 0600:
 *
 *   mmap (read-only)   header | manifest (JSON) | shared region | lane 0 | lane 1 | ... lane N-1
 *   read, poll         event records of all CPUs, merged by time
 *   ioctl              start, stop, sync, sums, key
 *
 * A lane is one possible CPU's part: what its handlers accumulate.  The manifest says where in the
 * shared region and in the lanes every table lies.  Offsets in the header are file offsets for
 * mmap, and multiples of the page size.  All numbers are little-endian.  runtime/abi/structs.py
 * mirrors this file.
 */
#ifndef STAPWATCH_ABI_H
#define STAPWATCH_ABI_H

#define SW_ABI	 1
#define SW_MAGIC "stapwtch"

enum sw_state {
	SW_LOADED = 0,	 /* no probe is armed yet */
	SW_STARTING = 1, /* begin probes run */
	SW_RUNNING = 2,	 /* handlers run */
	SW_EXITING = 3, /* exit() or too many errors: handlers no longer run, the reader should stop
			   it */
	SW_STOPPED = 4, /* end probes have run; tables keep their values */
};

struct sw_header {
	u8 magic[8];
	u32 abi;
	u32 nr_lanes; /* possible CPUs */
	u64 manifest_offset;
	u64 manifest_size; /* bytes of JSON */
	u64 shared_offset;
	u64 shared_size;
	u64 lanes_offset;
	u64 lane_stride; /* from one lane's start to the next one's */
	u64 memory;	 /* bytes of kernel memory that this module allocated */
	u64 loaded_ns;	 /* CLOCK_REALTIME */
	u64 started_ns;	 /* CLOCK_REALTIME, 0 before */
	u32 state;	 /* enum sw_state */
	u32 failed; /* the error budget was used up: stopping runs error probes, not end probes */
	u64 time_offset; /* add to an event's time for CLOCK_REALTIME, as of the last sync */
};

/* One for each probe in each lane, at the lane's start. */
struct sw_probe_counts {
	u64 hits;	       /* handlers begun */
	u64 skipped_reentrant; /* hits inside another handler of the same module on the same CPU */
	u64 skipped_lock;      /* a shared table stayed locked for too long */
	u64 errors;	       /* handlers ended by a script error */
};

/* One for each probe, then one for each function of a probe that has several, at the start of the
 * shared region. */
struct sw_probe_status {
	u64 missed; /* hits the kernel could not deliver (no return instance left, nested kprobe),
		       as of the last sync */
	u32 armed;  /* 1: its hook is in place */
	s32 error;  /* errno of the hook that could not be placed */
};

/* After the probe counts in each lane. */
struct sw_lane_counts {
	u64 events;	 /* records written */
	u64 events_lost; /* records that found the ring full */
	u64 strings_cut; /* strings that did not fit their buffer */
};

/* Start of an array in the shared region; the index and the slots follow, at offsets in the
 * manifest. */
struct sw_array_head {
	u32 used;  /* slots given out so far; a reader looks at no others */
	u32 live;  /* slots that hold an element */
	u32 free;  /* 1 + first slot of the list of deleted ones (shared class) */
	u32 first; /* 1 + oldest live slot (shared class) */
	u32 last;  /* 1 + newest live slot (shared class) */
	u32 pad;
};

/* Start of a slot; the key follows. */
struct sw_slot {
	u32 sequence; /* even: live or never used; odd: being changed or deleted. Grows with each
			 change of the key */
	u32 hash;
	u32 next; /* 1 + neighbours in order of insertion (shared class) */
	u32 prev;
};

enum sw_event_kind {
	SW_EVENT_PRINT = 0,   /* site: index into the manifest's prints */
	SW_EVENT_ERROR = 1,   /* site: index into the manifest's errors; argument: the text */
	SW_EVENT_STATE = 2,   /* site: the new enum sw_state */
	SW_EVENT_WARNING = 3, /* argument: the text */
	SW_EVENT_COMMAND = 4, /* argument: what the reader's shell is asked to run */
	SW_EVENT_SWITCH = 5,  /* the reader is asked to go on in another file */
};

/*
 * An event record.  Arguments follow: a number takes 8 bytes; a string its length (u64, bytes
 * without a NUL) and its bytes, padded to 8; a histogram its number of words (u64) and the words.
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
	u64 max_errors; /* errors that are tolerated: one more ends the module; ~0: all */
	s64 target;	/* what target() returns */
	s64 west;	/* seconds that local time is behind UTC */
	char zone[16];	/* its name, with a NUL */
	u64 reserved[3];
};

/*
 * Words of all lanes added up, modulo 2^64: words[i] is the sum of the word at `offset` + 8 * i of
 * every lane. Each word is read with one load.
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
#define SW_IOC_KEY   _IO('w', 5) /* the argument: a byte that somebody typed */

#endif
