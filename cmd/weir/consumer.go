package main

import (
	"github.com/spf13/cobra"
)

func newConsumer(a *app) *cobra.Command {
	return parent(groupStreams, "consumer", "Make and inspect consumers of streams",
		`A consumer is a named position in a stream. It hands messages to those who ask
for them, waits for their acknowledgement, and hands out again what was not
acknowledged in time. Several clients can share one.`,
		`  weir consumer add ORDERS billing --filter 'orders.paid' --ack-wait 1m
  weir consumer ls ORDERS
  weir consumer report --sort to-come
  weir consumer next ORDERS billing --count 10
  weir sub --stream ORDERS --consumer billing
  weir consumer from-durable orders billing --client c1 --durable billing`,
		newConsumerAdd(a), newConsumerLs(a), newConsumerReport(a), newConsumerInfo(a), newConsumerNext(a), newConsumerRm(a),
		newConsumerFromDurable(a))
}
