package main

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// consumerRow is one consumer in a report.
type consumerRow struct {
	Stream         string     `json:"stream"`
	Name           string     `json:"name"`
	Kind           string     `json:"kind"` // pull or push
	Ack            string     `json:"ack"`
	ToCome         uint64     `json:"to_come"`
	Unacknowledged int        `json:"unacknowledged"`
	Redelivered    int        `json:"redelivered"`
	Waiting        int        `json:"waiting"`
	Delivered      uint64     `json:"delivered_stream_seq"`
	AckFloor       uint64     `json:"ack_floor_stream_seq"`
	LastDelivery   *time.Time `json:"last_delivery,omitempty"`
}

// consumerReport is what `weir consumer report --json` prints.
type consumerReport struct {
	Consumers []*consumerRow `json:"consumers"`
	Total     struct {
		Consumers      int    `json:"consumers"`
		ToCome         uint64 `json:"to_come"`
		Unacknowledged int    `json:"unacknowledged"`
		Redelivered    int    `json:"redelivered"`
		Waiting        int    `json:"waiting"`
	} `json:"total"`
}

var consumerOrder = order[*consumerRow]{
	"name":           func(x, y *consumerRow) int { return strings.Compare(x.Stream+"\x00"+x.Name, y.Stream+"\x00"+y.Name) },
	"to-come":        descending(func(r *consumerRow) uint64 { return r.ToCome }),
	"unacknowledged": descending(func(r *consumerRow) int { return r.Unacknowledged }),
	"redelivered":    descending(func(r *consumerRow) int { return r.Redelivered }),
	"waiting":        descending(func(r *consumerRow) int { return r.Waiting }),
	"time": descending(func(r *consumerRow) int64 {
		if r.LastDelivery == nil {
			return 0
		}
		return r.LastDelivery.UnixNano()
	}),
}

func newConsumerReport(a *app) *cobra.Command {
	var by string
	var reverse bool
	cmd := &cobra.Command{
		Use:   "report [STREAM]",
		Short: "Compare consumers by how far they are",
		Long: `Shows how far the consumers of STREAM, or of all streams, are, in one table with a
total: what is still to come, what waits for an acknowledgement, what was handed out
again, and how many requests wait. --sort puts the largest first.`,
		Example: "  weir consumer report\n  weir consumer report ORDERS --sort to-come\n  weir consumer report --sort redelivered --json",
		Args:    arguments(0, 1),
	}
	cmd.Flags().StringVar(&by, "sort", "name", "sort by `COLUMN`: "+consumerOrder.names())
	cmd.Flags().BoolVar(&reverse, "reverse", false, "sort the other way round")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := consumerOrder.sort(cmd, nil, by, reverse); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			r, err := reportConsumers(ctx, js, args)
			if err != nil {
				return err
			}
			if err := consumerOrder.sort(cmd, r.Consumers, by, reverse); err != nil {
				return err
			}
			return a.showConsumerReport(r)
		})
	}
	return cmd
}

// reportConsumers reads the consumers of these streams, or of all.
func reportConsumers(ctx context.Context, js jetstream.JetStream, streams []string) (*consumerReport, error) {
	if len(streams) == 0 {
		list, err := listStreams(ctx, js, "")
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if s.State.Consumers > 0 {
				streams = append(streams, s.Config.Name)
			}
		}
	}
	r := &consumerReport{Consumers: []*consumerRow{}}
	for _, name := range streams {
		s, err := openStream(ctx, js, name)
		if err != nil {
			return nil, err
		}
		list, err := listConsumers(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			r.add(c)
		}
	}
	return r, nil
}

func (r *consumerReport) add(c *jetstream.ConsumerInfo) {
	row := &consumerRow{
		Stream: c.Stream, Name: c.Name, Kind: "pull", Ack: ackText(c.Config), ToCome: c.NumPending, Unacknowledged: c.NumAckPending,
		Redelivered: c.NumRedelivered, Waiting: c.NumWaiting, Delivered: c.Delivered.Stream, AckFloor: c.AckFloor.Stream, LastDelivery: c.Delivered.Last,
	}
	if c.Config.DeliverSubject != "" {
		row.Kind = "push"
	}
	r.Consumers = append(r.Consumers, row)
	t := &r.Total
	t.Consumers++
	t.ToCome += row.ToCome
	t.Unacknowledged += row.Unacknowledged
	t.Redelivered += row.Redelivered
	t.Waiting += row.Waiting
}

func (a *app) showConsumerReport(r *consumerReport) error {
	if a.asJSON {
		return a.printJSON(r)
	}
	t := newTable("STREAM", "NAME", "KIND", "ACK", ">TO COME", ">UNACKNOWLEDGED", ">REDELIVERED", ">WAITING", ">DELIVERED", ">ACK FLOOR", "LAST DELIVERY")
	for _, c := range r.Consumers {
		last := "never"
		if c.LastDelivery != nil {
			last = when(*c.LastDelivery)
		}
		t.add(c.Stream, c.Name, c.Kind, c.Ack, thousands(c.ToCome), thousands(c.Unacknowledged), thousands(c.Redelivered),
			thousands(c.Waiting), thousands(c.Delivered), thousands(c.AckFloor), last)
	}
	t.total("", plural(uint64(r.Total.Consumers), "consumer", "consumers"), "", "", thousands(r.Total.ToCome), thousands(r.Total.Unacknowledged),
		thousands(r.Total.Redelivered), thousands(r.Total.Waiting), "", "", "")
	return t.print(a.out, a.bold)
}
