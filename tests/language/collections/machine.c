// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A library with an interpreter in miniature, of the kind that scripts which print the stacks of
 * scripting languages look into: tagged values, objects by a header, frames, line tables,
 * addresses of 32 bits, and text behind its header. run() interprets calls of nested functions.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KEPT __attribute__((noipa))

typedef uint32_t Instruction;

typedef struct Header {
	struct Header *next;
	uint8_t tag, marked;
} Header;

typedef union {
	struct {
		Header header;
		uint8_t reserved;
		uint32_t hash;
		size_t len;
	} tsv; /* the text follows */
	double align;
} Text;

typedef struct Proto {
	Header header;
	Instruction *code;
	int *lineinfo;
	Text *source;
	int sizecode, linedefined;
} Proto;

typedef struct Value Value;
typedef struct State State;
typedef int (*CFunction)(State *L);

typedef union Closure {
	struct {
		Header header;
		uint8_t isC, nupvalues;
		CFunction f;
	} c;
	struct {
		Header header;
		uint8_t isC, nupvalues;
		Proto *p;
	} l;
} Closure;

typedef union {
	Header gch;
	Text ts;
	Closure cl;
} Object;

struct Value {
	union {
		Object *gc;
		void *p;
		double n;
		int b;
	} value;
	int tt;
};

typedef struct {
	Value *base, *func;
	const Instruction *savedpc;
	int nresults, tailcalls;
} CallInfo;

typedef struct {
	uint32_t ptr32;
} Ref;

struct State {
	Header header;
	uint8_t status;
	CallInfo *ci, *base_ci;
	const Instruction *savedpc;
	Ref global;
	Value stack[16];
	struct Frame *frame;
};

typedef struct Unicode {
	long refcnt;
	struct {
		unsigned int interned : 2;
		unsigned int kind : 3;
		unsigned int compact : 1;
		unsigned int ascii : 1;
	} state;
	long length;
} Unicode; /* the text follows */

typedef struct Code {
	Unicode *name, *filename;
	int firstlineno;
} Code;

typedef struct Frame {
	struct Frame *back;
	Code *code;
	int lineno;
} Frame;

typedef struct {
	uintptr_t value;
} Atomic;

static volatile Atomic current_state;
static State the_state;
static CallInfo infos[8];
static volatile unsigned long allocated;

KEPT void *machine_alloc(void *ud, void *old, size_t osize, size_t nsize)
{
	allocated += nsize - osize;
	return realloc(old, nsize);
}

static Text *text_of(const char *s)
{
	Text *t = machine_alloc(NULL, NULL, 0, sizeof(Text) + strlen(s) + 1);

	memset(t, 0, sizeof(*t));
	t->tsv.header.tag = 4;
	t->tsv.len = strlen(s);
	strcpy((char *)(t + 1), s);
	return t;
}

static Unicode *unicode_of(const char *s)
{
	Unicode *u = calloc(1, sizeof(Unicode) + strlen(s) + 1);

	u->refcnt = 1;
	u->state.kind = 1;
	u->state.ascii = 1;
	u->length = strlen(s);
	strcpy((char *)(u + 1), s);
	return u;
}

KEPT int call_hook(State *L, int line)
{
	return L->ci->nresults + line;
}

static KEPT int native(State *L)
{
	return call_hook(L, -1);
}

static void push(State *L, Closure *cl, int line)
{
	Value *slot = &L->stack[L->ci - L->base_ci + 1];

	slot->value.gc = (Object *)cl;
	slot->tt = 6;
	L->ci++;
	L->ci->func = slot;
	L->ci->savedpc = cl->c.isC ? NULL : cl->l.p->code + line;
	L->savedpc = L->ci->savedpc;
}

KEPT int eval_frame(Frame *f, int throwflag)
{
	int sum = f->lineno;

	the_state.frame = f;
	if (f->back)
		sum += f->back->lineno;
	return throwflag ? -1 : sum;
}

/* Interprets `depth` nested functions, and returns the sum of what they return. */
KEPT int machine_run(int depth)
{
	static int lines[] = { 10, 11, 12, 13, 14 };
	static Instruction code[] = { 0x00000123, 0x00004567, 3, 4, 5 };
	static Proto proto = { { NULL, 9, 0 }, code, lines, NULL, 5, 10 };
	static Closure lua = { .l = { { NULL, 6, 0 }, 0, 0, &proto } };
	static Closure c = { .c = { { NULL, 6, 0 }, 1, 0, native } };
	Code unit = { unicode_of("work"), unicode_of("job.py"), 3 };
	Frame outer = { NULL, &unit, 30 }, inner = { &outer, &unit, 4 };
	State *L = &the_state;
	uint16_t wide[2] = { 1, 2 };
	int i, sum = wide[depth & 1];

	proto.source = text_of("@job.lua");
	L->base_ci = L->ci = infos;
	L->header.tag = 8;
	L->global.ptr32 = 77;
	current_state.value = (uintptr_t)L;
	for (i = 0; i < depth; i++)
		push(L, i == depth - 1 ? &c : &lua, i + 1);
	sum += native(L);
	sum += eval_frame(&inner, 0);
	return sum;
}
