/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unwind tables of programs: what the compiler has made of their .eh_frame, and the walk by them.
 *
 * A table has the rows of one file, sorted by address. A row is a distance from the first one and
 * the number of a rule, which says where the caller's registers are:
 *
 *   pcs       0x0000  0x0001  0x0004  0x00b2 ...     from `start`, each to the next row
 *   numbers   0       1       2       0      ...
 *   rules     { SP, 8 }  { SP, 16, frame pointer at CFA-16 }  { FP, 16, frame pointer at CFA-16 } ...
 */
#ifndef STAPWATCH_UNWIND_H
#define STAPWATCH_UNWIND_H

#define SW_UNWIND_MOST_FILES 32

/* How the canonical frame address (CFA) is computed. The return address is below it. */
enum sw_unwind_kind {
	SW_UNWIND_NONE,	     /* no row, or one that does not fit here */
	SW_UNWIND_OUTERMOST, /* nothing has called it */
	SW_UNWIND_SP,	     /* stack pointer + offset */
	SW_UNWIND_FP,	     /* frame pointer + offset */
	SW_UNWIND_SP_DEREF,  /* the word at stack pointer + offset, and `add` */
	SW_UNWIND_FP_DEREF,  /* the word at frame pointer + offset, and `add` */
	SW_UNWIND_PLT,	     /* stack pointer + 8, and 8 more from byte `offset` of 16 on */
	SW_UNWIND_SIGNAL,    /* a handler's return: registers are in the frame */
};

/* Where the caller's frame pointer is. */
enum sw_unwind_frame {
	SW_UNWIND_FRAME_SAME,	  /* in the register */
	SW_UNWIND_FRAME_AT_CFA,	  /* in memory, at CFA + frame_offset */
	SW_UNWIND_FRAME_AT_FRAME, /* in memory, at frame pointer + frame_offset */
};

struct sw_unwind_rule {
	u8 kind;
	u8 frame;
	s16 frame_offset;
	s32 offset;
	s32 add;
};

/**
 * struct sw_unwind_table - one file's rows; all addresses are as linked
 * @id: the file's build-id
 * @id_size: bytes of @id
 * @id_at: where the file has it
 * @headers: the program headers; 0: it is no program
 * @dynamic: the dynamic section; 0: it has none
 * @debug: where the linker stores the address of its list of files; 0: nowhere
 * @start: of the first row
 * @pcs: rows, as distances from @start; the last is behind all code
 * @numbers: of their rules
 * @nr_rows: number of rows
 * @rules: the rules
 */
struct sw_unwind_table {
	const u8 *id;
	u32 id_size;
	u32 nr_rows;
	u64 id_at;
	u64 headers;
	u64 dynamic;
	u64 debug;
	u64 start;
	const u32 *pcs;
	const u16 *numbers;
	const struct sw_unwind_rule *rules;
};

/**
 * struct sw_unwinder - a walk up one stack
 * @ip: instruction pointer of the frame
 * @stack: its stack pointer
 * @frame: its frame pointer
 * @returns: the innermost pending return that is probed and not passed; see sw_unwind_return()
 * @found: bits of the tables whose files the process has mapped
 * @is_call: @ip is a return address: its function is that of the byte before
 * @bias: of each such table, what is added to linked addresses
 */
struct sw_unwinder {
	u64 ip, stack, frame;
	u64 returns;
	u32 found;
	bool is_call;
	u64 bias[SW_UNWIND_MOST_FILES];
};

enum sw_unwind_step {
	SW_UNWIND_CALLER,   /* the registers are the caller's */
	SW_UNWIND_NO_TABLE, /* the instruction is in none of the files */
	SW_UNWIND_END,	    /* the function has no caller */
	SW_UNWIND_LOST,	    /* it has one that cannot be found */
};

/**
 * sw_unwind_locate() - find the script's files in the current process
 * @c: the handler's context
 * @u: gets `found` and `bias`
 * @headers: address of the program headers, as the kernel has told the program (AT_PHDR)
 *
 * Reads the dynamic linker's list of files, as debuggers do, and no map of the kernel: so it takes
 * no lock. A file is believed to be there if its build-id is.
 *
 * Context: Any; pays for each entry of the list.
 */
void sw_unwind_locate(struct sw_context *c, struct sw_unwinder *u, u64 headers);

/**
 * sw_unwind_step() - go to the caller by the tables
 * @c: the handler's context
 * @u: the walk; unchanged unless the result is SW_UNWIND_CALLER
 *
 * Context: Any; pays for the frame.
 * Return: what happened.
 */
enum sw_unwind_step sw_unwind_step(struct sw_context *c, struct sw_unwinder *u);

/**
 * sw_unwind_return() - a return address, or that which a probe of returns has replaced
 * @c: the handler's context
 * @u: the walk, whose `returns` moves on
 * @at: where the address is on the stack
 * @address: what is there
 *
 * Context: Any.
 * Return: the address that the function returns to.
 */
u64 sw_unwind_return(struct sw_context *c, struct sw_unwinder *u, u64 at, u64 address);

#endif
