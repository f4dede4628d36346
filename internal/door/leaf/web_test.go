package leaf

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// webHub is a hub that is reached over WebSocket, at a path; with a certificate it is
// secured. Its address has no scheme. end has nobody come any more.
func webHub(t *testing.T, path string, secure *tls.Config) (h *hub, addr string, end func()) {
	t.Helper()
	h = newHub(t, func(h *hub) { h.info.LeafURLs = []string{} })
	h.info.TLSRequired = secure != nil // which has happened by then
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = ln.Addr().String()
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path || r.Host != addr {
			http.NotFound(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		h.serve(websocket.NetConn(context.Background(), ws, websocket.MessageBinary))
	})}
	if secure != nil {
		ln = tls.NewListener(ln, secure)
	}
	h.done.Go(func() { _ = s.Serve(ln) })
	end = func() { _ = s.Close() }
	t.Cleanup(end)
	return h, addr, end
}

func TestALinkGoesOverWebSocket(t *testing.T) {
	pair, pool := certificate(t)
	for name, it := range map[string]struct {
		scheme, path, at string
		secure           bool
	}{
		"plain":                 {scheme: "ws://", at: "/leafnode"},
		"secured":               {scheme: "wss://", at: "/leafnode", secure: true},
		"secured by the remote": {scheme: "ws://", at: "/leafnode", secure: true},
		"behind a path":         {scheme: "ws://", path: "/nats/here/", at: "/nats/here/leafnode"},
	} {
		t.Run(name, func(t *testing.T) {
			var there, here *tls.Config
			if it.secure {
				there, here = &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: pool}
			}
			h, addr, _ := webHub(t, it.at, there)
			n := join(t, nil, RemoteOptions{URLs: []string{it.scheme + addr + it.path}, TLS: here})
			g := h.guest()
			g.say("LS+ from")
			n.interested(t, "from")
			for _, size := range []int{1, 100, 70_000, 900_000} { // of all lengths that frames have
				data := strings.Repeat("x", size)
				n.publish("from", "", data)
				g.want("LMSG from " + strconv.Itoa(size) + " " + data)
			}
			if l := n.Links(); len(l) != 1 || l[0].Secure != it.secure || l[0].Port == 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestOtherListenersForWebSocketsAreFoundToo(t *testing.T) {
	second, other, _ := webHub(t, "/leafnode", nil)
	first, addr, end := webHub(t, "/leafnode", nil)
	first.last.WebURLs, first.last.LeafURLs = []string{other}, []string{"127.0.0.1:1"}
	join(t, nil, RemoteOptions{URLs: []string{"ws://" + addr}})
	g := first.guest()
	end()
	_ = g.conn.Close()
	second.guest()
}

func TestWhatIsNoWebSocketForLeafNodesIsNamed(t *testing.T) {
	_, addr, _ := webHub(t, "/elsewhere", nil)
	at, err := parseServer("ws://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	o := RemoteOptions{}
	o.fill()
	r := &Remote{door: &Door{}, o: o}
	_, err = r.dial(t.Context(), &at)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	if _, err := parseServer("ws://"); err == nil {
		t.Error("an address without a host is taken")
	}
	if s, err := parseServer("wss://u:p@host:443/a"); err != nil || s.host != "host:443" || !s.secure || !s.web || s.path != "/a/leafnode" {
		t.Errorf("%+v, %v", s, err)
	}
}
