package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	jswire "github.com/weirmq/weir/internal/wire/jetstream"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// fromDurable is the move of a durable of NATS Streaming to a consumer.
type fromDurable struct {
	channel, name          string
	client, durable, queue string
	description            string
	ackWait                durationFlag
	maxAckPending          int
	maxDeliver             int
	inUse, remove          bool
}

const fromDurableLong = `Makes a durable pull consumer NAME of the stream that is the streaming channel CHANNEL.
It begins where a durable stands: what that has not acknowledged comes first, as
delivered again, then what it was never sent. --client and --durable say which one;
for a durable queue group, --queue and --durable.

The durable's clients are stopped before, or it goes on beside: then both get what is
new, and the consumer also what the durable acknowledges later. --remove removes the
durable once the consumer is there. The same command once more changes nothing.

Where --ack-wait and --max-ack-pending are not given they are those of the durable's
clients, if there are some, else 30s and 1000.`

func newConsumerFromDurable(a *app) *cobra.Command {
	var f fromDurable
	cmd := &cobra.Command{
		Use:   "from-durable CHANNEL NAME",
		Short: "Make a consumer that goes on where a durable of NATS Streaming stands",
		Long:  fromDurableLong,
		Example: `  weir consumer from-durable orders billing --client c1 --durable billing
  weir consumer from-durable orders workers --queue workers --durable d --remove
  weir consumer from-durable orders audit --client c2 --durable audit --in-use`,
		Args: arguments(2, 2),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.client, "client", "", "`id` of the client that the durable is of")
	flags.StringVar(&f.durable, "durable", "", "`name` of the durable")
	flags.StringVar(&f.queue, "queue", "", "`name` of the durable's queue group")
	flags.StringVar(&f.description, "description", "", "what the consumer is for")
	flags.Var(&f.ackWait, "ack-wait", "hand a message out again after this long")
	flags.IntVar(&f.maxAckPending, "max-ack-pending", 0, "at most this many messages without acknowledgement")
	flags.IntVar(&f.maxDeliver, "max-deliver", -1, "hand a message out at most this often")
	flags.BoolVar(&f.inUse, "in-use", false, "also where clients of the durable are connected")
	flags.BoolVar(&f.remove, "remove", false, "remove the durable once the consumer is there")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.channel, f.name = args[0], args[1]
		switch {
		case f.durable == "":
			return usagef(cmd, "say which durable: --durable NAME")
		case (f.client == "") == (f.queue == ""):
			return usagef(cmd, "say whose durable: --client ID, or --queue GROUP")
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error { return f.run(ctx, a, js) })
	}
	return cmd
}

// from is the name of the durable's own consumer.
func (f *fromDurable) from() string {
	if f.queue != "" {
		return wire.QueueName(f.durable + ":" + f.queue)
	}
	return wire.DurableName(f.client, f.durable)
}

// text names the durable to people.
func (f *fromDurable) text() string {
	return "durable " + durableName(&wire.Adoption{Client: f.client, Durable: f.durable, Queue: f.queue})
}

func (f *fromDurable) run(ctx context.Context, a *app, js jetstream.JetStream) error {
	s, err := channelStream(ctx, js, f.channel)
	if err != nil {
		return err
	}
	old, err := consumerInfo(ctx, js, s, f.from())
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("%s of channel %s: %w", f.text(), f.channel, err)
	}
	made, err := f.made(ctx, js, s)
	switch {
	case err != nil:
		return err
	case made != nil:
		a.note("Consumer %s is there already, and stays where it stands.", f.name)
	case old == nil:
		return fmt.Errorf("channel %s has no %s: weir consumer ls '%s' shows what it has", f.channel, f.text(), s)
	default:
		if made, err = f.make(ctx, js, s, old); err != nil {
			return err
		}
	}
	if f.remove && old != nil {
		if err := js.DeleteConsumer(ctx, s, f.from()); err != nil {
			return fmt.Errorf("remove %s: %w", f.text(), err)
		}
	}
	return a.showConsumer(made)
}

// made is the consumer from an earlier run; nil: there is none.
func (f *fromDurable) made(ctx context.Context, js jetstream.JetStream, stream string) (*jetstream.ConsumerInfo, error) {
	info, err := consumerInfo(ctx, js, stream, f.name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for consumer %s: %w", f.name, err)
	case info.Config.Metadata[jswire.MetaContinues] != f.from():
		return nil, fmt.Errorf("stream %s has a consumer %s that is another one", stream, f.name)
	}
	return info, nil
}

// make makes the consumer at the position of the old one.
func (f *fromDurable) make(ctx context.Context, js jetstream.JetStream, stream string, old *jetstream.ConsumerInfo) (*jetstream.ConsumerInfo, error) {
	if old.PushBound && !f.inUse {
		return nil, fmt.Errorf("%s is in use: stop its clients, or say --in-use", f.text())
	}
	if f.ackWait == 0 {
		f.ackWait = durationFlag(old.Config.AckWait)
	}
	if f.maxAckPending == 0 {
		f.maxAckPending = old.Config.MaxAckPending
	}
	c, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Name: f.name, Durable: f.name, Description: f.description, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: time.Duration(f.ackWait), MaxAckPending: f.maxAckPending, MaxDeliver: f.maxDeliver,
		Metadata: map[string]string{jswire.MetaContinues: f.from()},
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer %s of stream %s: %w", f.name, stream, err)
	}
	return c.CachedInfo(), nil
}

// channelStream finds the stream that is a channel: the one that its name leads to, or
// one that was made a channel.
func channelStream(ctx context.Context, js jetstream.JetStream, channel string) (string, error) {
	s, err := js.Stream(ctx, wire.StreamName(channel))
	switch {
	case err == nil && s.CachedInfo().Config.Metadata[wire.MetaChannel] == channel:
		return s.CachedInfo().Config.Name, nil
	case err != nil && !errors.Is(err, jetstream.ErrStreamNotFound):
		return "", fmt.Errorf("look for channel %s: %w", channel, err)
	}
	list := js.ListStreams(ctx)
	found := ""
	for i := range list.Info() {
		if i.Config.Metadata[wire.MetaChannel] == channel {
			found = i.Config.Name
		}
	}
	if err := list.Err(); err != nil {
		return "", fmt.Errorf("look for channel %s: %w", channel, err)
	}
	if found == "" {
		return "", fmt.Errorf("there is no streaming channel %s", channel)
	}
	return found, nil
}
