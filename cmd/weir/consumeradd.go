package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// consumerFlags are a consumer's settings as flags.
type consumerFlags struct {
	description, deliver, ack string
	filter                    []string
	backoff                   []string
	ackWait, inactive         durationFlag
	maxDeliver, maxAckPending int
	maxWaiting, maxBatch      int
	headersOnly, memory       bool
	ephemeral                 bool
	metadata                  map[string]string
}

func (f *consumerFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringVar(&f.deliver, "deliver", "all", "where it starts: `POSITION` is "+positionHelp)
	flags.StringSliceVar(&f.filter, "filter", nil, "only messages of `subjects` like this")
	flags.StringVar(&f.ack, "ack", "explicit", "acknowledgements: explicit (each), all (up to one) or none")
	flags.Var(&f.ackWait, "ack-wait", "hand a message out again after this long (default 30s)")
	flags.IntVar(&f.maxDeliver, "max-deliver", -1, "hand a message out at most this often")
	flags.StringSliceVar(&f.backoff, "backoff", nil, "wait these `durations` before each further time, instead of --ack-wait")
	flags.IntVar(&f.maxAckPending, "max-ack-pending", 0, "at most this many messages without acknowledgement (default 1000)")
	flags.IntVar(&f.maxWaiting, "max-waiting", 0, "at most this many requests that wait (default 512)")
	flags.IntVar(&f.maxBatch, "max-batch", 0, "at most this many messages a request")
	flags.Var(&f.inactive, "inactive", "remove the consumer when nobody used it for this long")
	flags.BoolVar(&f.headersOnly, "headers-only", false, "hand out headers without data")
	flags.BoolVar(&f.memory, "memory", false, "keep its state in memory")
	flags.BoolVar(&f.ephemeral, "ephemeral", false, "remove it when it is no longer used (5s, or --inactive)")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "facts of your own, `KEY=VALUE`")
}

func (f *consumerFlags) config(name string, now time.Time) (jetstream.ConsumerConfig, error) {
	c := jetstream.ConsumerConfig{
		Name: name, Durable: name, Description: f.description, AckWait: time.Duration(f.ackWait), MaxDeliver: f.maxDeliver,
		MaxAckPending: f.maxAckPending, MaxWaiting: f.maxWaiting, MaxRequestBatch: f.maxBatch,
		InactiveThreshold: time.Duration(f.inactive), HeadersOnly: f.headersOnly, MemoryStorage: f.memory, Metadata: f.metadata,
	}
	if f.ephemeral {
		c.Durable = ""
	}
	switch len(f.filter) {
	case 0:
	case 1:
		c.FilterSubject = f.filter[0]
	default:
		c.FilterSubjects = f.filter
	}
	if err := choose(&c.AckPolicy, "--ack", f.ack, map[string]jetstream.AckPolicy{
		"explicit": jetstream.AckExplicitPolicy, "all": jetstream.AckAllPolicy, "none": jetstream.AckNonePolicy}); err != nil {
		return c, err
	}
	from, err := parsePosition(f.deliver, now)
	if err != nil {
		return c, fmt.Errorf("--deliver: %w", err)
	}
	c.DeliverPolicy, c.OptStartSeq, c.OptStartTime = from.policy, from.seq, from.time
	for _, s := range f.backoff {
		d, err := parseDuration(s)
		if err != nil {
			return c, fmt.Errorf("--backoff: %w", err)
		}
		c.BackOff = append(c.BackOff, d)
	}
	return c, nil
}

func newConsumerAdd(a *app) *cobra.Command {
	var f consumerFlags
	var ask bool
	cmd := &cobra.Command{
		Use:     "add [STREAM] [NAME]",
		Aliases: []string{"create"},
		Short:   "Make a consumer",
		Long: `Makes a durable pull consumer. With a stream and a name it asks nothing: what no
flag says has its default. Where one of them is missing, or with --ask, it asks for
what flags do not say, if there is a terminal, and shows the command that does the
same without. Making the same consumer again changes nothing.`,
		Example: `  weir consumer add
  weir consumer add ORDERS billing
  weir consumer add ORDERS audit --filter 'orders.>' --deliver 7d
  weir consumer add JOBS workers --ack-wait 5m --max-deliver 5`,
		Args: arguments(0, 2),
	}
	f.bind(cmd)
	cmd.Flags().BoolVar(&ask, "ask", false, "ask for what flags do not say")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if ask || len(args) < 2 {
			var err error
			if args, err = a.guideConsumer(cmd, args); err != nil {
				return err
			}
		}
		c, err := f.config(args[1], time.Now())
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			consumer, err := js.CreateConsumer(ctx, args[0], c)
			if err != nil {
				return fmt.Errorf("make consumer %s of stream %s: %w", args[1], args[0], err)
			}
			return a.showConsumer(consumer.CachedInfo())
		})
	}
	return cmd
}

// consumerQuestions are asked for a consumer's settings.
var consumerQuestions = []question{
	{flag: "filter", text: "Only messages of these subjects, such as orders.new", fallback: "all of the stream"},
	{flag: "deliver", text: "Start where: all, new, last, a sequence, or how long ago such as 2h", fallback: "all", check: func(s string) error {
		_, err := parsePosition(s, time.Now())
		return err
	}},
	{flag: "ack", text: "Acknowledge each message, all up to one, or none", choices: []string{"explicit", "all", "none"}, fallback: "explicit"},
	{flag: "ack-wait", text: "Hand a message out again after how long without acknowledgement", fallback: "30s", when: wantsAcks},
	{flag: "max-deliver", text: "Hand a message out at most how often", fallback: "unlimited", when: wantsAcks},
}

func wantsAcks(cmd *cobra.Command) bool { return cmd.Flags().Lookup("ack").Value.String() != "none" }

// guideConsumer asks for what is missing, or says what to give where nobody can be
// asked. It returns stream and name.
func (a *app) guideConsumer(cmd *cobra.Command, args []string) ([]string, error) {
	if !a.inTerm {
		if len(args) == 2 {
			return nil, usagef(cmd, "--ask needs a terminal")
		}
		return nil, usagef(cmd, "say of which stream, and what the consumer is called, such as: %s ORDERS billing", cmd.CommandPath())
	}
	g := a.newGuide(cmd)
	for _, text := range []string{"Stream that it reads", "Name of the consumer"}[len(args):] {
		answer, err := g.ask(question{text: text, needed: true, check: nameOf})
		if err != nil {
			return nil, err
		}
		args = append(args, answer)
	}
	if err := g.all(consumerQuestions); err != nil {
		return nil, err
	}
	g.repeat(args...)
	return args, nil
}
