package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamAdd(a *app) *cobra.Command {
	var f streamFlags
	var ask bool
	cmd := &cobra.Command{
		Use:     "add [NAME] [SUBJECT...]",
		Aliases: []string{"create"},
		Short:   "Make a stream",
		Long: `Makes a stream that keeps what is published to the given subjects. With a name and
subjects it asks nothing: what no flag says has its default, and there are no limits
until one is set. Where one of them is missing, or with --ask, it asks for what flags
do not say, if there is a terminal, and shows the command that does the same without.
Making the same stream again changes nothing.`,
		Example: `  weir stream add
  weir stream add ORDERS 'orders.>'
  weir stream add LOGS 'logs.>' --max-bytes 10GB --max-age 7d
  weir stream add STATE 'state.*' --max-msgs-per-subject 1
  weir stream add JOBS jobs --discard new --max-msgs 100000 --storage memory`,
		Args: arguments(0, -1),
	}
	f.bind(cmd)
	cmd.Flags().BoolVar(&ask, "ask", false, "ask for what flags do not say")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name := ""
		if len(args) > 0 {
			name, f.subjects = args[0], append(args[1:], f.subjects...)
		}
		if ask || name == "" || len(f.subjects) == 0 {
			if err := a.guideStream(cmd, &name, &f); err != nil {
				return err
			}
		}
		c := jetstream.StreamConfig{Name: name}
		if err := f.apply(cmd, &c, false); err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.CreateStream(ctx, c)
			if err != nil {
				return fmt.Errorf("make stream %s: %w", c.Name, err)
			}
			return a.showStream(s.CachedInfo())
		})
	}
	return cmd
}

// streamQuestions are asked for a stream's settings.
var streamQuestions = []question{
	{flag: "storage", text: "Keep messages in", choices: []string{"file", "memory"}, fallback: "file"},
	{flag: "retention", text: "When do messages go: at limits, when every consumer had them, or when one did", choices: []string{"limits", "interest", "workqueue"}, fallback: "limits"},
	{flag: "max-age", text: "Keep them for how long, such as 36h or 30d", fallback: "for ever"},
	{flag: "max-bytes", text: "Keep how much, such as 10GB", fallback: "unlimited"},
	{flag: "max-msgs", text: "Keep how many messages", fallback: "unlimited"},
	{flag: "max-msgs-per-subject", text: "Keep how many messages of each subject", fallback: "unlimited"},
	{
		flag: "discard", text: "At a limit, remove the old ones or refuse new ones", choices: []string{"old", "new"}, fallback: "old",
		when: isSet("max-bytes", "max-msgs", "max-msgs-per-subject"),
	},
}

// guideStream asks for what is missing, or says what to give where nobody can be
// asked.
func (a *app) guideStream(cmd *cobra.Command, name *string, f *streamFlags) error {
	switch {
	case a.inTerm:
	case *name == "":
		return usagef(cmd, "say what the stream is called and which subjects it keeps, such as: %s ORDERS 'orders.>'", cmd.CommandPath())
	case len(f.subjects) == 0:
		return usagef(cmd, "say which subjects the stream keeps, such as: %s %s '%s.>'", cmd.CommandPath(), *name, strings.ToLower(*name))
	default:
		return usagef(cmd, "--ask needs a terminal")
	}
	g := a.newGuide(cmd)
	var err error
	if *name == "" {
		if *name, err = g.ask(question{text: "Name of the stream", needed: true, check: nameOf}); err != nil {
			return err
		}
	}
	if len(f.subjects) == 0 {
		subjects, err := g.ask(question{text: "Subjects that it keeps, such as orders.>, several with spaces", needed: true})
		if err != nil {
			return err
		}
		f.subjects = strings.Fields(strings.ReplaceAll(subjects, ",", " "))
	}
	if err := g.all(streamQuestions); err != nil {
		return err
	}
	g.repeat(append([]string{*name}, f.subjects...)...)
	return nil
}
