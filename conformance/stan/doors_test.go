package stan_test

import (
	"fmt"
	"testing"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
)

// TestLiftbridgesClientsReadAndWriteChannels: by the channel's name, also where it takes
// nothing that is published on a subject.
func TestLiftbridgesClientsReadAndWriteChannels(t *testing.T) {
	port := freePort(t)
	s := start(t, fmt.Sprintf("capture: [\"open.>\"]\n}\nliftbridge { listen: \"127.0.0.1:%s\"", port))
	c := connect(t, s.URL, "me")
	lc, err := lift.Connect([]string{"127.0.0.1:" + port})
	if err != nil {
		t.Fatal(err)
	}
	defer lc.Close()
	for _, name := range []string{"open.door", "shut"} {
		d := c.subscribe(name, "")
		c.put(name, 1, 2)
		for i := 3; i <= 4; i++ {
			ack, err := lc.Publish(t.Context(), name, fmt.Append(nil, i), lift.Key([]byte("k")))
			if err != nil {
				t.Fatal(err)
			}
			if ack.Offset() != int64(i-1) || ack.Stream() != name {
				t.Errorf("%s: offset %d of %q", name, ack.Offset(), ack.Stream())
			}
		}
		c.put(name, 5, 5)
		d.want(1, 5, all)
		got := make(chan *lift.Message, 10)
		err := lc.Subscribe(t.Context(), name, func(m *lift.Message, err error) {
			if err == nil { // it ends with the test
				got <- m
			}
		}, lift.StartAtEarliestReceived())
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(5) {
			if m := <-got; m.Offset() != i || m.Subject() != name || string(m.Value()) != fmt.Sprint(i+1) {
				t.Errorf("%s: %d %q %q", name, m.Offset(), m.Subject(), m.Value())
			}
		}
	}
}
