package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

type pubFlags struct {
	draftFlags
	count                uint64
	every                time.Duration
	lines, stored, quiet bool
	split, ackFile       string
	resume               bool
	window               int
}

const pubLong = `Publishes messages to SUBJECT and says how many.

BODY is the message; "-" reads one message from standard input. Without BODY,
each line of standard input is a message of its own. --split TAB takes what
stands before a line's first tab as {{.Key}}, for use in SUBJECT.

--js waits until a stream has stored each message, with up to --window of them
on their way, and fails when one was not. --ack-file writes a line for every
acknowledged message: its number in the input, its sequence in the stream and
its subject, with tabs between. After a failure the same command with --resume
leaves out what the file has; with --msg-id '{{.Count}}' the stream also
recognizes messages that it had stored without being able to say so.

` + templateHelp

const pubExample = `  weir pub orders.new 'one coffee'
  weir pub ticks 'tick {{.Count}} at {{.Time}}' --count 10 --every 1s
  journalctl -f | weir pub logs.host1
  weir pub --js orders.new - -H 'Content-Type:application/json' < order.json
  weir pub --js '{{.Key}}' --split TAB --msg-id '{{.Count}}' --ack-file acks.tsv < data.tsv`

func newPub(a *app) *cobra.Command {
	var f pubFlags
	cmd := &cobra.Command{
		Use:     "pub SUBJECT [BODY|-]",
		Aliases: []string{"publish"},
		GroupID: groupMessages,
		Short:   "Publish messages",
		Long:    pubLong,
		Example: pubExample,
		Args:    arguments(1, 2),
	}
	flags := cmd.Flags()
	f.bindHeaders(cmd)
	flags.Uint64Var(&f.count, "count", 0, "publish BODY this often, or at most this many lines")
	flags.DurationVar(&f.every, "every", 0, "pause between messages")
	flags.BoolVar(&f.lines, "lines", false, "each line of standard input is a message (default without BODY)")
	flags.StringVar(&f.split, "split", "", "cut lines at `SEP` (TAB for a tab) into {{.Key}} and body")
	flags.StringVar(&f.reply, "reply", "", "reply `subject`")
	flags.BoolVar(&f.stored, "js", false, "wait until a stream has stored each message")
	flags.BoolVar(&f.stored, "jetstream", false, "the same as --js")
	flags.IntVar(&f.window, "window", 1000, "messages on their way at a time, with --js")
	flags.StringVar(&f.msgID, "msg-id", "", "`identifier` by which the stream recognizes duplicates")
	flags.StringVar(&f.ackFile, "ack-file", "", "write number, sequence and subject of each acknowledged message to `FILE`")
	flags.BoolVar(&f.resume, "resume", false, "leave out what --ack-file already has, and append to it")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print nothing but errors")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.newPublication(cmd, args, f)
		if err != nil {
			return err
		}
		if f.stored {
			return p.store(cmd.Context())
		}
		return p.send(cmd.Context())
	}
	return cmd
}

// publication is one run of pub.
type publication struct {
	*app
	flags  pubFlags
	draft  *draft
	from   source
	raw    bool // bodies are lines, not templates
	facts  facts
	start  time.Time
	report progress
}

func (a *app) newPublication(cmd *cobra.Command, args []string, f pubFlags) (*publication, error) {
	if err := checkPubFlags(cmd, args, f, a.inTerm); err != nil {
		return nil, err
	}
	p := &publication{app: a, flags: f, raw: f.lines || len(args) == 1}
	body := ""
	switch {
	case p.raw:
		p.from = newLines(a.in, separator(f.split), f.count)
	default:
		body = args[1]
		p.from = &repeat{left: max(f.count, 1)}
	}
	if body == "-" {
		whole, err := readAll(a.in)
		if err != nil {
			return nil, err
		}
		p.from, p.raw = &repeat{body: whole, left: max(f.count, 1)}, true
	}
	var err error
	if p.draft, err = newDraft(args[0], body, f.draftFlags); err != nil {
		return nil, usagef(cmd, "%v", err)
	}
	if f.split != "" && !p.draft.subject.uses(".Key") {
		return nil, usagef(cmd, "with --split SUBJECT says where the key goes, such as '{{.Key}}' or 'pkg.{{.Key}}'")
	}
	p.report = a.newProgress(f.quiet)
	return p, nil
}

func checkPubFlags(cmd *cobra.Command, args []string, f pubFlags, inTerm bool) error {
	switch {
	case f.lines && len(args) == 2:
		return usagef(cmd, "BODY and --lines are two sources; give one")
	case len(args) == 1 && !f.lines && inTerm:
		return usagef(cmd, "no BODY: give one, or lines on standard input (--lines reads them from this terminal)")
	case f.split != "" && len(args) == 2:
		return usagef(cmd, "--split is for lines of standard input, not for BODY")
	case !f.stored && (f.ackFile != "" || cmd.Flags().Changed("window")):
		return usagef(cmd, "--ack-file and --window are for --js")
	case f.resume && f.ackFile == "":
		return usagef(cmd, "--resume needs --ack-file")
	case f.stored && f.reply != "":
		return usagef(cmd, "--reply and --js exclude each other: the acknowledgement is the reply")
	case f.window < 1:
		return usagef(cmd, "--window is at least 1")
	}
	return nil
}

// message gives the next message, io.EOF after the last.
func (p *publication) message() (*nats.Msg, error) {
	key, body, err := p.from.next()
	if err != nil {
		return nil, err
	}
	p.facts.Count++
	p.facts.Key, p.facts.Body = key, body
	m, err := p.draft.message(&p.facts, p.raw)
	if err != nil {
		return nil, fmt.Errorf("message %d: %w", p.facts.Count, err)
	}
	return m, nil
}

// send publishes without waiting for a stream.
func (p *publication) send(ctx context.Context) error {
	nc, err := p.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	p.start = time.Now()
	var sent, bytes uint64
	for ctx.Err() == nil {
		m, err := p.message()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = nc.PublishMsg(m)
		}
		if err != nil {
			return p.stopped(nc, sent, err)
		}
		sent++
		bytes += uint64(len(m.Data))
		p.report.show(sent, bytes)
		if p.flags.every > 0 {
			if err := nc.FlushTimeout(p.timeout); err != nil {
				return p.stopped(nc, sent, err)
			}
			pause(ctx, p.flags.every)
		}
	}
	p.report.clear()
	if err := p.flushed(nc); err != nil {
		return p.stopped(nc, sent, err)
	}
	return p.sentSummary(sent, bytes)
}

// stopped says how far an interrupted run came. Earlier messages may have
// arrived: without a stream nobody knows.
func (p *publication) stopped(nc *nats.Conn, sent uint64, err error) error {
	p.report.clear()
	if last := nc.LastError(); last != nil && errors.Is(err, nats.ErrConnectionClosed) {
		err = last
	}
	if isLost(err) {
		err = errLost
	}
	return fmt.Errorf("stopped after %s: %w", plural(sent, "message", "messages"), err)
}

func (p *publication) sentSummary(sent, bytes uint64) error {
	took := time.Since(p.start)
	if p.asJSON {
		return p.printJSON(map[string]any{"messages": sent, "bytes": bytes, "seconds": took.Seconds()})
	}
	if p.flags.quiet {
		return nil
	}
	_, err := fmt.Fprintf(p.out, "Published %s (%s) in %s, %s\n",
		plural(sent, "message", "messages"), humanBytes(bytes), humanDuration(took), rate(sent, took))
	return err
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
