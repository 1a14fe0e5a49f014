// SPDX-License-Identifier: GPL-2.0-or-later
/* The bare hook at a packet's way out: an empty netfilter handler. */
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <net/net_namespace.h>
#include "hand.h"

static u64 hand_events(void)
{
	return 0;
}

static unsigned int on_packet(void *data, struct sk_buff *packet, const struct nf_hook_state *state)
{
	return NF_ACCEPT;
}

static const struct nf_hook_ops ops = {
	.hook = on_packet,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_LOCAL_OUT,
	.priority = NF_IP_PRI_FIRST,
};

static int __init hand_init(void)
{
	return nf_register_net_hook(&init_net, &ops);
}

static void __exit hand_exit(void)
{
	nf_unregister_net_hook(&init_net, &ops);
}

module_init(hand_init);
module_exit(hand_exit);
