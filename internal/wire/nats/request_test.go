package nats

import "testing"

func TestAHeaderReplacesLinesOfItsKey(t *testing.T) {
	const line = "Nats-Request-Info: {\"acc\":\"B\",\"rtt\":150638404}\r\n"
	for hdr, want := range map[string]string{
		"":                         "NATS/1.0\r\n" + line + "\r\n",
		"NATS/1.0\r\n\r\n":         "NATS/1.0\r\n" + line + "\r\n",
		"NATS/1.0\r\nA: b\r\n\r\n": "NATS/1.0\r\nA: b\r\n" + line + "\r\n",
		"NATS/1.0 503\r\nNats-Request-Info: {}\r\nA: b\r\nNats-Request-Info: x\r\n\r\n": "NATS/1.0 503\r\nA: b\r\n" + line + "\r\n",
		"NATS/1.0\r\nNats-Request-Infos: x\r\n\r\n":                                     "NATS/1.0\r\nNats-Request-Infos: x\r\n" + line + "\r\n",
		"no end": "no end\r\n" + line + "\r\n",
	} {
		if got := string(AppendHeaderWith(nil, []byte(hdr), RequestInfoKey, []byte(`{"acc":"B","rtt":150638404}`))); got != want {
			t.Errorf("%q becomes %q", hdr, got)
		}
	}
}
