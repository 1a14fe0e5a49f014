// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server in miniature, of the kind that scripts of public collections look into: strings with
 * a length, pools of memory, lists of parts, a table of connections, handlers by phase, and
 * objects of a store. Handles as many requests as its argument says, and prints what it did.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT __attribute__((noipa)) /* called as the source says */

/* A mark as <sys/sdt.h> defines it, with two arguments in registers or memory. */
#define MARK(name, first, second)                                                                  \
	__asm__ __volatile__("990: nop\n"                                                          \
			     ".pushsection .note.stapsdt,\"?\",\"note\"\n"                         \
			     ".balign 4\n"                                                         \
			     ".4byte 992f-991f, 994f-993f, 3\n"                                    \
			     "991: .asciz \"stapsdt\"\n"                                           \
			     "992: .balign 4\n"                                                    \
			     "993: .8byte 990b, 0, 0\n"                                            \
			     ".asciz \"server\"\n"                                                 \
			     ".asciz \"" name "\"\n"                                               \
			     ".asciz \"8@%0 8@%1\"\n"                                              \
			     "994: .balign 4\n"                                                    \
			     ".popsection\n" ::"r"((long)(first)),                                 \
			     "r"((long)(second)))

typedef struct {
	size_t len;
	unsigned char *data;
} text_t;

typedef struct large_s large_t;
struct large_s {
	large_t *next;
	void *alloc;
};

typedef struct pool_s pool_t;
struct pool_s {
	struct {
		unsigned char *last, *end;
		pool_t *next;
		unsigned int failed;
	} d;
	size_t max;
	large_t *large;
};

typedef struct {
	text_t key, value;
	unsigned int hash;
} header_t;

typedef struct part_s part_t;
struct part_s {
	void *elts;
	unsigned int nelts;
	part_t *next;
};

typedef struct request_s request_t;
typedef long (*handler_pt)(request_t *r);

typedef struct {
	void *data;
	int fd;
	unsigned int requests;
	unsigned int destroyed : 1;
	unsigned int tcp_nodelay : 2;
	unsigned int log_error : 3;
} connection_t;

typedef struct {
	handler_pt *handlers;
	unsigned int n;
} phase_t;

typedef struct {
	phase_t phases[3];
	unsigned int nphases;
} conf_t;

struct request_s {
	connection_t *connection;
	request_t *main;
	pool_t *pool;
	void **main_conf;
	struct {
		part_t part;
		long content_length;
	} headers_in;
	text_t method, uri, args;
	long start_sec;
	unsigned int start_msec;
	short status;
};

typedef struct {
	connection_t *connections;
	unsigned int n, free_n;
	pool_t *pool;
} cycle_t;

typedef struct {
	unsigned int type : 4;
	unsigned int encoding : 4;
	unsigned int lru : 24;
	int refcount;
	void *ptr;
} object_t;

struct sds {
	unsigned int len, free;
	char buf[];
};

typedef struct client {
	unsigned long id;
	int fd, argc;
	object_t **argv;
	struct client *next;
	union {
		long bytes;
		char status[8];
	} reply;
	enum { NORMAL, MONITOR = 4, REPLICA } role;
} client_t;

volatile cycle_t *the_cycle;
static volatile struct {
	long sec;
	unsigned int msec;
} cached_time = { 1700000000, 250 };
static connection_t connections[8];
static unsigned long served;
static unsigned long log_index = 1;
struct sds *name;
client_t first_client = { .id = 7, .fd = 9, .role = MONITOR };

KEPT void *pool_alloc(pool_t *pool, size_t size)
{
	unsigned char *found = pool->d.last;

	if ((size_t)(pool->d.end - found) < size) {
		large_t *large = malloc(sizeof(*large));

		large->alloc = malloc(size);
		large->next = pool->large;
		pool->large = large;
		pool->d.failed++;
		return large->alloc;
	}
	pool->d.last += size;
	return found;
}

KEPT pool_t *pool_create(size_t size)
{
	pool_t *pool = malloc(size);

	memset(pool, 0, sizeof(*pool));
	pool->d.last = (unsigned char *)(pool + 1);
	pool->d.end = (unsigned char *)pool + size;
	pool->max = size - sizeof(*pool);
	return pool;
}

KEPT void pool_destroy(pool_t *pool)
{
	large_t *large, *next;

	for (large = pool->large; large; large = next) {
		next = large->next;
		free(large->alloc);
		free(large);
	}
	free(pool);
}

KEPT long find_header(request_t *r, const char *key, size_t len)
{
	part_t *part;
	unsigned int i;

	for (part = &r->headers_in.part; part; part = part->next)
		for (i = 0; i < part->nelts; i++) {
			header_t *header = &((header_t *)part->elts)[i];

			if (header->key.len == len && !memcmp(header->key.data, key, len))
				return header->hash;
		}
	return -1;
}

static inline __attribute__((always_inline)) int status_of(request_t *r, long found)
{
	int status = found < 0 ? 404 : 200;

	r->status = status; /* the status */
	return status;
}

static KEPT long rewrite(request_t *r)
{
	return r->uri.len;
}

static KEPT long access_check(request_t *r)
{
	return find_header(r, "host", 4);
}

static KEPT long log_request(request_t *r)
{
	served++;
	return r->status;
}

static handler_pt rewriters[] = { rewrite, access_check };
static handler_pt loggers[] = { log_request };
static conf_t conf = { { { rewriters, 2 }, { 0, 0 }, { loggers, 1 } }, 3 };

KEPT long run_phases(request_t *r, conf_t *conf)
{
	long last = 0;
	unsigned int i, j;

	for (i = 0; i < conf->nphases; i++)
		for (j = 0; j < conf->phases[i].n; j++)
			last = conf->phases[i].handlers[j](r);
	return last;
}

KEPT int process_request(request_t *r)
{
	long found = find_header(r, "host", 4);
	int status = status_of(r, found);

	pool_alloc(r->pool, 100);
	pool_alloc(r->pool, r->uri.len * 100);
	run_phases(r, r->main_conf[log_index]);
	return status;
}

KEPT void close_connection(connection_t *c)
{
	c->data = NULL;
	c->fd = -1;
}

KEPT void execute_command(client_t *c)
{
	struct sds *key = (struct sds *)c->argv[c->argc - 1]->ptr - 1;

	c->reply.bytes += key->len;
	c->argv[0]->refcount++;
}

static object_t *object_of(const char *text)
{
	struct sds *s = malloc(sizeof(*s) + strlen(text) + 1);
	object_t *o = malloc(sizeof(*o));

	s->len = strlen(text);
	s->free = 0;
	strcpy(s->buf, text);
	*o = (object_t){ .type = 3, .encoding = 8, .lru = 12345, .refcount = 1, .ptr = s->buf };
	return o;
}

static text_t text(const char *s)
{
	return (text_t){ strlen(s), (unsigned char *)s };
}

KEPT void handle(int number, connection_t *c)
{
	header_t headers[2][2] = { { { text("accept"), text("*/*"), 11 },
				     { text("agent"), text("curl"), 12 } },
				   { { text("host"), text("example.org"), 13 } } };
	part_t second = { headers[1], 1, NULL };
	void *main_conf[] = { NULL, &conf };
	request_t r = { .connection = c, .pool = pool_create(512), .main_conf = main_conf };

	r.main = &r;
	r.headers_in.part = (part_t){ headers[0], 2, number % 3 ? &second : NULL };
	r.headers_in.content_length = -1;
	r.method = text(number % 2 ? "GET" : "POST");
	r.uri = text("/index.html and more");
	r.uri.len = 11; /* not the end of the string */
	r.args = text("");
	r.start_sec = cached_time.sec - 2;
	r.start_msec = 100;
	c->data = &r;
	c->requests++;
	MARK("request__startup", &r, r.uri.data);
	process_request(&r);
	MARK("request__shutdown", &r, r.status);
	pool_destroy(r.pool);
	close_connection(c);
}

int main(int argc, char **argv)
{
	static cycle_t cycle = { connections, 8, 3, NULL };
	object_t *words[] = { object_of("set"), object_of("key"), object_of("value") };
	int i, count = argc > 1 ? atoi(argv[1]) : 1;

	name = (struct sds *)words[0]->ptr - 1;
	cycle.pool = pool_create(1024);
	the_cycle = &cycle;
	first_client.argv = words;
	for (i = 1; i <= count; i++) {
		connection_t *c = &connections[i % 8];

		c->fd = 100 + i;
		c->tcp_nodelay = 2;
		first_client.argc = 1 + i % 3;
		execute_command(&first_client);
		handle(i, c);
	}
	printf("served=%lu replied=%ld\n", served, first_client.reply.bytes);
	return 0;
}
