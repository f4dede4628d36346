package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newConsumerInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info STREAM NAME",
		Short:   "Show a consumer's settings and position",
		Long:    "Shows a consumer's settings, how far it is, what waits for an acknowledgement and what is still to come.",
		Example: "  weir consumer info ORDERS billing\n  weir consumer info ORDERS billing --json",
		Args:    arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
				info, err := consumerInfo(ctx, js, args[0], args[1])
				if err != nil {
					return fmt.Errorf("consumer %s of stream %s: %w", args[1], args[0], err)
				}
				return a.showConsumer(info)
			})
		},
	}
}

// consumerInfo describes a consumer of either kind.
func consumerInfo(ctx context.Context, js jetstream.JetStream, stream, name string) (*jetstream.ConsumerInfo, error) {
	c, err := js.Consumer(ctx, stream, name)
	if err == nil {
		return c.CachedInfo(), nil
	}
	if !errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, err
	}
	p, err := js.PushConsumer(ctx, stream, name)
	if err != nil {
		return nil, err
	}
	return p.CachedInfo(), nil
}

func (a *app) showConsumer(info *jetstream.ConsumerInfo) error {
	if a.asJSON {
		return a.printJSON(info)
	}
	c := info.Config
	var s sheet
	s.heading("Consumer " + info.Name + " of stream " + info.Stream)
	s.add("Description", c.Description)
	s.add("Kind", kindText(c))
	s.add("Filter", filterText(c))
	s.add("Starts", startText(c))
	s.add("Made", when(info.Created))
	s.add("Metadata", pairs(c.Metadata))
	s.heading("Rules")
	s.add("Acknowledgements", ackText(c))
	s.add("Again after", againText(c))
	s.add("Deliveries at most", limit(int64(c.MaxDeliver)))
	s.add("Unacknowledged at most", limit(int64(c.MaxAckPending)))
	s.add("Requests at most", limit(int64(c.MaxWaiting)))
	if c.InactiveThreshold > 0 {
		s.add("Removed when unused", humanDuration(c.InactiveThreshold))
	}
	if c.HeadersOnly {
		s.add("Hands out", "headers only")
	}
	s.heading("Position")
	s.add("Delivered", fmt.Sprintf("%s, stream sequence %s", plural(info.Delivered.Consumer, "message", "messages"), thousands(info.Delivered.Stream)))
	s.add("Acknowledged up to", "stream sequence "+thousands(info.AckFloor.Stream))
	s.add("Unacknowledged", thousands(info.NumAckPending))
	s.add("Redelivered", thousands(info.NumRedelivered))
	s.add("To come", thousands(info.NumPending))
	s.add("Waiting requests", thousands(info.NumWaiting))
	return s.print(a.out, a.bold)
}

func kindText(c jetstream.ConsumerConfig) string {
	kind := "ephemeral"
	if c.Durable != "" {
		kind = "durable"
	}
	if c.DeliverSubject != "" {
		return kind + ", pushes to " + c.DeliverSubject
	}
	return kind + " pull"
}

func startText(c jetstream.ConsumerConfig) string {
	switch c.DeliverPolicy {
	case jetstream.DeliverAllPolicy:
		return "first message"
	case jetstream.DeliverNewPolicy:
		return "new messages"
	case jetstream.DeliverLastPolicy:
		return "last message"
	case jetstream.DeliverLastPerSubjectPolicy:
		return "last message of each subject"
	case jetstream.DeliverByStartSequencePolicy:
		return "sequence " + thousands(c.OptStartSeq)
	case jetstream.DeliverByStartTimePolicy:
		if c.OptStartTime != nil {
			return when(*c.OptStartTime)
		}
	}
	return c.DeliverPolicy.String()
}

func againText(c jetstream.ConsumerConfig) string {
	if len(c.BackOff) == 0 {
		return humanDuration(c.AckWait)
	}
	steps := make([]string, len(c.BackOff))
	for i, d := range c.BackOff {
		steps[i] = humanDuration(time.Duration(d))
	}
	return strings.Join(steps, ", ")
}
