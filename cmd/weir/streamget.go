package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamGet(a *app) *cobra.Command {
	var last, next string
	var raw bool
	cmd := &cobra.Command{
		Use:   "get NAME [SEQUENCE]",
		Short: "Print one stored message",
		Long: `Prints the message at a sequence, the last one of a subject (--last), or the
first one of a subject at or after a sequence (--next). Wildcards are allowed.`,
		Example: "  weir stream get ORDERS 1200\n  weir stream get ORDERS --last orders.new --raw\n  weir stream get ORDERS 1200 --next 'orders.*'",
		Args:    arguments(1, 2),
	}
	cmd.Flags().StringVar(&last, "last", "", "the last message of this `subject`")
	cmd.Flags().StringVar(&next, "next", "", "the first message of this `subject` from SEQUENCE on")
	cmd.Flags().BoolVar(&raw, "raw", false, "print data only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		seq, err := sequenceArgument(cmd, args[1:], last, next)
		if err != nil {
			return err
		}
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := openStream(ctx, js, args[0])
			if err != nil {
				return err
			}
			var m *jetstream.RawStreamMsg
			switch {
			case last != "":
				m, err = s.GetLastMsgForSubject(ctx, last)
			case next != "":
				m, err = s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(next))
			default:
				m, err = s.GetMsg(ctx, seq)
			}
			if err != nil {
				return fmt.Errorf("read from stream %s: %w", args[0], err)
			}
			p := a.newPrinter(raw, false)
			return errors.Join(p.print(fromStored(args[0], m)), p.flush())
		})
	}
	return cmd
}

// sequenceArgument checks which of the three ways to name a message was chosen.
func sequenceArgument(cmd *cobra.Command, args []string, last, next string) (uint64, error) {
	switch {
	case last != "" && (next != "" || len(args) > 0):
		return 0, usagef(cmd, "--last stands alone")
	case last != "":
		return 0, nil
	case len(args) == 0 && next != "":
		return 1, nil
	case len(args) == 0:
		return 0, usagef(cmd, "say which message: SEQUENCE, --last SUBJECT or --next SUBJECT")
	}
	seq, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil || seq == 0 {
		return 0, usagef(cmd, "%q is no sequence; they are numbers from 1 on", args[0])
	}
	return seq, nil
}
