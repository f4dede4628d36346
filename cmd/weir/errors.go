package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// errServe stands for a server that has said itself why it ended.
var errServe = errors.New("the server ended with an error")

// errLost ends a command whose server went away.
var errLost = errors.New("the connection was lost")

// isLost reports whether err is one of the ways in which a lost connection shows.
func isLost(err error) bool {
	var broken *net.OpError
	return errors.As(err, &broken) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, errLost)
}

// usageError is a command line that cannot be carried out as written.
type usageError struct {
	command string // whose help tells more
	text    string
}

func (e *usageError) Error() string { return e.text }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), text: fmt.Sprintf(format, args...)}
}

// statusError ends the process with a status of its own. err is nil where all is
// said.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return fmt.Sprint(e.err) }

func (e *statusError) Unwrap() error { return e.err }

// arguments checks the number of positional arguments; most < 0 is any number.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef(cmd, "too few arguments; usage: %s", cmd.UseLine())
		case most >= 0 && len(args) > most:
			return usagef(cmd, "unexpected argument %q; usage: %s", args[most], cmd.UseLine())
		}
		return nil
	}
}

// advice adds to an error what a person can do about it.
type advice struct {
	is   func(error) bool
	text string
}

func isError(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

var advices = []advice{
	{isError(nats.ErrNoServers), "is a server running there? `weir` starts one; --server or NATS_URL names another"},
	{isError(nats.ErrAuthorization), "give --user and --password, or --token (NATS_USER, NATS_PASSWORD, NATS_TOKEN)"},
	{isError(jetstream.ErrBucketNotFound), "`weir kv ls` lists the buckets and `weir kv add` makes one; for object stores, `weir object ls` and `weir object add`"},
	{isError(jetstream.ErrKeyNotFound), "`weir kv keys BUCKET` lists the keys that have a value"},
	{isError(jetstream.ErrKeyRevisionMismatch), "somebody else has changed the key: `weir kv get` shows its newest revision"},
	{isError(jetstream.ErrKeyExists), "`weir kv put` replaces a value, `weir kv update` one that nobody else has changed"},
	{isError(jetstream.ErrHistoryTooLarge), "--history is at most 64"},
	{isError(jetstream.ErrInvalidBucketName), "names have letters, digits, - and _"},
	{isError(jetstream.ErrInvalidStoreName), "names have letters, digits, - and _"},
	{isError(jetstream.ErrInvalidKey), "keys have letters, digits, and - / _ = . with nothing empty between dots"},
	{isError(jetstream.ErrObjectNotFound), "`weir object ls STORE` lists the objects"},
	{isError(jetstream.ErrDigestMismatch), "what came is not what was stored: try again, and if it stays so, store the object again"},
	{isError(jetstream.ErrStreamNotFound), "`weir stream ls` lists the streams"},
	{isError(jetstream.ErrConsumerNotFound), "`weir consumer ls STREAM` lists its consumers, `weir consumer add` makes one"},
	{isGroupRefusal(wire.CodeGroupNotFound), "`weir group ls` lists the groups"},
	{isGroupRefusal(wire.CodeGroupHasMembers), "that can be done when its members have left or expired; `weir group info` shows them"},
	{isGroupRefusal(wire.CodeGroupUnknownStream), "`weir stream ls` lists the streams"},
	{isError(jetstream.ErrJetStreamNotEnabled), "durable streams are off on this server: start it with -js or a jetstream block"},
	{isError(jetstream.ErrJetStreamNotEnabledForAccount), "durable streams are off for this account"},
	{isError(jetstream.ErrNoStreamResponse), "no stream captures this subject: `weir stream add NAME SUBJECT` makes one"},
	{isError(nats.ErrNoResponders), "nobody answers there; `weir reply SUBJECT` does"},
	{isError(context.DeadlineExceeded), "no answer in time; --timeout waits longer"},
	{isError(nats.ErrTimeout), "no answer in time; --timeout waits longer"},
}

// explain returns err's text with the first advice that fits.
func explain(err error) string {
	text := plainText(err)
	for _, a := range advices {
		if a.is(err) {
			return text + "\n      " + a.text
		}
	}
	return text
}

// plainText takes the client library's wrapping out of err's text. An error of
// the server keeps its number: that is what people search for.
func plainText(err error) string {
	text := err.Error()
	var refusal jetstream.JetStreamError
	if errors.As(err, &refusal) && refusal.APIError() != nil {
		api := refusal.APIError()
		text = strings.Replace(text, refusal.Error(), fmt.Sprintf("%s (error %d)", api.Description, api.ErrorCode), 1)
	}
	return strings.ReplaceAll(text, "nats: ", "")
}
