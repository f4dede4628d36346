package stan

import (
	"testing"

	wire "github.com/weirmq/weir/internal/wire/stan"
)

func TestConnectPublishSubscribeAckClose(t *testing.T) {
	r := newRig(t)
	p := r.connect("me")
	s := p.subscribe(wire.SubscriptionRequest{Subject: "foo"})
	p.put("foo", "m1", "m2")
	m := s.want(1)
	if string(m.Data) != "m1" || string(m.Subject) != "foo" || m.Redelivered || m.Timestamp == 0 {
		t.Errorf("%+v", m)
	}
	s.want(2)
	s.acknowledge(1, 2)
	s.unsubscribe()
	if text := s.leave("_STAN.unsub.tc"); text != wire.InvalidSub {
		t.Errorf("a second unsubscribe: %q", text)
	}
	if text := p.close(); text != "" {
		t.Errorf("close: %q", text)
	}
	if text := p.close(); text != wire.UnknownClient {
		t.Errorf("a second close: %q", text)
	}
}
