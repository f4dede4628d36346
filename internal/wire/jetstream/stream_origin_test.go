package jetstream

import "testing"

func TestSourcedMessagesLoseWhatWasAboutStoringThem(t *testing.T) {
	for block, want := range map[string]string{
		"": "NATS/1.0\r\nNats-Stream-Source: O:8 7 > > a.b\r\n\r\n",
		"NATS/1.0\r\nA: 1\r\nNats-Expected-Last-Sequence: 5\r\nNats-Batch-Id: x\r\nNats-Msg-Id: y\r\nNats-Stream-Source: X 1 > > c\r\n\r\n": "NATS/1.0\r\nA: 1\r\nNats-Msg-Id: y\r\nNats-Stream-Source: O:8 7 > > a.b\r\n\r\n",
	} {
		if got := AppendSourced(nil, []byte(block), "O:8 > >", 7, []byte("a.b")); string(got) != want {
			t.Errorf("%q gives %q", block, got)
		}
	}
}

func TestSourcesAreToldApart(t *testing.T) {
	keys := map[string]bool{}
	for _, s := range []StreamSource{
		{Name: "A"},
		{Name: "A", FilterSubject: "a"},
		{Name: "A", SubjectTransforms: []SubjectTransform{{Source: "a", Destination: "b"}}},
		{Name: "A", External: &ExternalStream{APIPrefix: "$JS.x.API"}},
		{Name: "A", External: &ExternalStream{APIPrefix: "$JS.y.API"}},
	} {
		keys[s.Key()] = true
	}
	if len(keys) != 5 {
		t.Fatalf("%v", keys)
	}
	near := StreamSource{Name: "A", External: &ExternalStream{APIPrefix: "$JS.x.API"}}
	if !near.Local("x") || near.Local("") || near.Local("y") {
		t.Fatal("Local is wrong")
	}
}

func FuzzAppendSourced(f *testing.F) {
	f.Add([]byte("NATS/1.0\r\nA: 1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, block []byte) {
		if got := AppendSourced(nil, block, "O > >", 1, []byte("a")); len(got) > len(block)+80 {
			t.Fatalf("%q gives %q", block, got)
		}
	})
}
