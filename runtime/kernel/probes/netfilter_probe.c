// SPDX-License-Identifier: GPL-2.0-or-later
/* Packets at netfilter's hooks, in the initial network namespace. */
#include <linux/netfilter.h>
#include <linux/rcupdate.h>
#include <net/net_namespace.h>
#include "probes/hook.h"

#ifdef CONFIG_NETFILTER

/* Packets of other families never come back from a queue: the kernel warns, and frees them. */
static bool netfilter_has_queues(u8 family)
{
	return family == NFPROTO_IPV4 || family == NFPROTO_IPV6 || family == NFPROTO_BRIDGE;
}

/*
 * Verdicts that the kernel acts upon. With any other (repeat and stop, which it no
 * longer supports, or a number that is no verdict) it would warn and leak the
 * packet, so the packet is accepted.
 *
 * Stolen means that the hook has taken the packet over and frees it. Only C can do that: a packet
 * that a script without any calls stolen is dropped, which frees it.
 */
static unsigned int netfilter_verdict(const struct sw_probe *probe, u8 family, u32 verdict)
{
	switch (verdict & NF_VERDICT_MASK) {
	case NF_DROP:
		return NF_DROP;
	case NF_STOLEN:
		return probe->flags & SW_PROBE_EMBEDDED ? NF_STOLEN : NF_DROP;
	case NF_QUEUE:
		return netfilter_has_queues(family) ? verdict : NF_ACCEPT;
	default:
		return NF_ACCEPT;
	}
}

static unsigned int netfilter_on_packet(void *data, struct sk_buff *packet,
					const struct nf_hook_state *state)
{
	const struct sw_probe *probe = data;
	sw_packet_handler *handler = probe->handler;

	u32 verdict = handler(state->hook, (unsigned long)packet, (unsigned long)state->in,
			      (unsigned long)state->out);

	return netfilter_verdict(probe, state->pf, verdict);
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
