package jetstream

import (
	"log/slog"
	"testing"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/stream/streamtest"
)

// TestAnAccountWithTheStreamsOfAnotherLeavesTheAnswersToIt asks the door itself, which
// has answered, or has not, when it returns.
func TestAnAccountWithTheStreamsOfAnotherLeavesTheAnswersToIt(t *testing.T) {
	a := &account.Account{Name: "A"}
	r := newRigFor(t, a)
	a.JetStream.Enabled = false
	a.Imports = []account.Import{
		{Kind: account.Service, Account: "B", Subject: "$JS.API.INFO"},
		{Kind: account.Service, Account: "B", Subject: "$JS.API.DIRECT.GET.>"},
	}
	door := New(Options{ServerName: "n", Version: "2.12.0", MaxPayload: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	door.Start(r.Streams)
	api := &accountAPI{Door: door, space: r.space, now: func() *account.Account { return a }}
	for _, subject := range []string{"$JS.API.INFO", "$JS.API.DIRECT.GET.S.a", "$JS.API.STREAM.NAMES"} {
		in := streamtest.NewInbox(t, r.space)
		api.Handle(&broker.Request{Space: r.space, Subject: subject, Reply: in.Subject})
		r.space.Publish(&broker.Message{Subject: []byte(in.Subject), Data: []byte("theirs")})
		first := in.Next(t)
		imported := a.ImportsService(subject)
		if imported != (string(first.Data) == "theirs") || imported != (len(first.Header) == 0) {
			t.Errorf("%s: imported is %v, and the first answer %q %q", subject, imported, first.Header, first.Data)
		}
		in.Close()
	}
}
