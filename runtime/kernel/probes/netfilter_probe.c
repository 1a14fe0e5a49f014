// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets at netfilter's hooks, in the initial network namespace. */
#include <linux/netfilter.h>
#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include "probes/hook.h"

#ifdef CONFIG_NETFILTER

/*
 * Verdicts that the kernel acts upon. With any other (repeat and stop, which it no
 * longer supports, or a number that is no verdict) it would warn and leak the
 * packet, so the packet is accepted.
 */
static unsigned int netfilter_verdict(u32 verdict)
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

static unsigned int netfilter_on_packet(void *data, struct sk_buff *packet,
					const struct nf_hook_state *state)
{
	const struct sw_probe *probe = data;
	sw_packet_handler *handler = probe->handler;

	return netfilter_verdict(handler(state->hook, (unsigned long)packet,
					 (unsigned long)state->in, (unsigned long)state->out));
}

static int netfilter_hook_attach(struct sw_attachment *a)
{
	const struct sw_probe *probe = a->probe;
	struct nf_hook_ops *ops = sw_hook_alloc(sizeof(*ops));
	int error;

	BUILD_BUG_ON(SW_ACCEPT != NF_ACCEPT);
	if (!ops)
		return -ENOMEM;
	ops->hook = netfilter_on_packet;
	ops->priv = (void *)probe;
	ops->pf = probe->netfilter.family;
	ops->hooknum = probe->netfilter.hooknum;
	ops->priority = probe->netfilter.priority;
	error = nf_register_net_hook(&init_net, ops);
	if (error) {
		sw_hook_free(ops, sizeof(*ops));
		return error;
	}
	a->hook = ops;
	return 0;
}

/*
 * The kernel calls hooks, and lists them to user space, under rcu_read_lock(), and
 * unregistering waits for neither: before the grace period a handler can still run,
 * and `ops` still be read.
 */
static void netfilter_hook_detach(struct sw_attachment *a)
{
	nf_unregister_net_hook(&init_net, a->hook);
}

static void netfilter_hook_release(struct sw_attachment *a)
{
	sw_hook_free(a->hook, sizeof(struct nf_hook_ops));
}

#else

static int netfilter_hook_attach(struct sw_attachment *a)
{
	return -EOPNOTSUPP;
}

static void netfilter_hook_detach(struct sw_attachment *a)
{
}

static void netfilter_hook_release(struct sw_attachment *a)
{
}

#endif

const struct sw_hook_ops sw_netfilter_ops = {
	.attach = netfilter_hook_attach,
	.detach = netfilter_hook_detach,
	.release = netfilter_hook_release,
};
