// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel of the golden cases: a few types and functions, so that no case depends on an
 * installed kernel. Only its types and variables are used.
 */
typedef unsigned long size_t;
typedef long ssize_t;
typedef long long loff_t;

struct qstr {
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct path {
	void *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	unsigned int f_flags;
	unsigned int f_ready : 1, f_mode : 7;
	long f_pos;
};

struct task_struct {
	int pid;
	int prio;
	char comm[16];
};

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,
		cs, flags, sp, ss;
};

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID };

struct list_head {
	struct list_head *next, *prev;
};

/* One member of each kind that is printed in its own way. */
struct zoo {
	signed char small;
	unsigned short port;
	_Bool ready;
	enum pid_type kind;
	char letter;
	const char *title;
	char label[8];
	int numbers[7];
	unsigned char bytes[3];
	struct {
		int inner;
		union {
			unsigned int word;
			unsigned char parts[4];
		};
	};
	struct qstr name;
	struct list_head list;
	struct zoo *self;
	void (*action)(void);
	int low : 3;
	unsigned int high : 5;
	struct path steps[2];
};

struct task_struct init_task = { .pid = 7, .prio = -3, .comm = "golden" };
struct dentry root_dentry = { &root_dentry, { (const unsigned char *)"root" } };
struct file open_file = { { (void *)16, &root_dentry }, 0x8000, 1, 5, 42 };
struct zoo zoo = {
	.small = -5,
	.port = 65535,
	.ready = 1,
	.kind = PIDTYPE_PGID,
	.letter = 'z',
	.title = "all \"of\" it",
	.label = "lion",
	.numbers = { 1, -2, 3, 4, 5, 6, 7 },
	.bytes = { 0, 128, 255 },
	.inner = 9,
	.word = 0x01020304,
	.name = { (const unsigned char *)"zoo" },
	.list = { (void *)1, (void *)2 },
	.self = &zoo,
	.low = -2,
	.high = 17,
	.steps = { { (void *)1, &root_dentry }, { (void *)2, (void *)8 } },
};
long nobody_knows[2] = { 11, 22 };

unsigned long this_cpu_off __attribute__((section(".data..percpu")));
int __preempt_count __attribute__((section(".data..percpu")));

ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)
{
	return buf && pos ? (ssize_t)count + file->f_pos : 0;
}

ssize_t vfs_write(struct file *file, const char *buf, size_t count, loff_t *pos)
{
	return buf && pos ? (ssize_t)count + file->f_pos : 0;
}

void ftrace_caller(void)
{
}

long __x64_sys_openat(const struct pt_regs *regs)
{
	return (long)regs->di;
}

long __ia32_compat_sys_openat(const struct pt_regs *regs)
{
	return (long)regs->bx;
}

long __x64_sys_preadv2(const struct pt_regs *regs)
{
	return (long)regs->di;
}

long __ia32_compat_sys_preadv2(const struct pt_regs *regs)
{
	return (long)regs->bx;
}

long __x64_sys_chown(const struct pt_regs *regs)
{
	return (long)regs->di;
}

long __ia32_sys_chown16(const struct pt_regs *regs)
{
	return (long)regs->bx;
}

struct net_device {
	char name[16];
};

struct sk_buff {
	unsigned int len;
	struct net_device *dev;
};

struct nf_hook_state {
	unsigned char hook;
	struct net_device *in, *out;
	int (*okfn)(struct net *net, struct sock *sock, struct sk_buff *skb);
} keep_hook_state;

typedef void (*btf_trace_sched_switch)(void *, _Bool, struct task_struct *, struct task_struct *,
				       unsigned int);
typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long);

int __traceiter_sched_switch(void *__data, _Bool preempt, struct task_struct *prev,
			     struct task_struct *next, unsigned int prev_state)
{
	return prev == next || preempt || prev_state;
}

int __traceiter_sys_enter(void *__data, struct pt_regs *regs, long id)
{
	return regs->ax == (unsigned long)id;
}

btf_trace_sched_switch keep_sched_switch;
btf_trace_sys_enter keep_sys_enter;
enum pid_type keep_enum;
