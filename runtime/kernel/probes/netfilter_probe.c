// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * netfilter.c - packets at the kernel's netfilter hooks, in the network namespace that the system
 * booted with.
 */
#include <linux/netfilter.h>
#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include "probes/hook.h"

#ifdef CONFIG_NETFILTER

/*
 * Verdicts that the kernel acts upon. Those that it has given up (repeat, stop) and what is none
 * let the packet pass: the kernel would warn, and lose the packet's memory.
 */
static unsigned int settled(u32 verdict)
{
	switch (verdict & NF_VERDICT_MASK) {
	case NF_DROP:
		return NF_DROP;
	case NF_STOLEN:
		return NF_STOLEN;
	case NF_QUEUE:
		return verdict;
	default:
		return NF_ACCEPT;
	}
}

static unsigned int on_packet(void *data, struct sk_buff *packet, const struct nf_hook_state *state)
{
	const struct sw_probe *probe = data;
	sw_packet_handler *handler = probe->handler;

	return settled(handler(state->hook, (unsigned long)packet, (unsigned long)state->in,
			       (unsigned long)state->out));
}

static int netfilter_place(struct sw_placement *p)
{
	struct nf_hook_ops *ops = sw_hook_alloc(sizeof(*ops));
	int error;

	BUILD_BUG_ON(SW_ACCEPT != NF_ACCEPT);
	if (!ops)
		return -ENOMEM;
	ops->hook = on_packet;
	ops->priv = (void *)p->probe;
	ops->pf = p->probe->type;
	ops->hooknum = p->probe->config;
	ops->priority = p->probe->number;
	error = nf_register_net_hook(&init_net, ops);
	if (error) {
		sw_hook_free(ops, sizeof(*ops));
		return error;
	}
	p->hook = ops;
	return 0;
}

/* Hooks are called, and listed to user space, by readers of RCU; the kernel waits for none. */
static void netfilter_remove(struct sw_placement *p)
{
	struct nf_hook_ops *ops = p->hook;

	nf_unregister_net_hook(&init_net, ops);
	synchronize_rcu();
	sw_hook_free(ops, sizeof(*ops));
}

#else

static int netfilter_place(struct sw_placement *p)
{
	return -EOPNOTSUPP;
}

static void netfilter_remove(struct sw_placement *p)
{
}

#endif

const struct sw_hook_ops sw_netfilter_hook = {
	.place = netfilter_place,
	.remove = netfilter_remove,
};
