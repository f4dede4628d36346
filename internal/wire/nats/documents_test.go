package nats

import "testing"

func TestInfoKeepsTheOrderOfItsKeys(t *testing.T) {
	least := Info{ServerID: "NID", ServerName: "lab", Version: "2.12.0", Proto: 1, Go: "go1.26", Host: "127.0.0.1", Port: 4222,
		Headers: true, MaxPayload: 1048576, ClientID: 5, ClientIP: "127.0.0.1", APILevel: 2, XKey: "X", WeirVersion: "0.1.0"}
	want := `INFO {"server_id":"NID","server_name":"lab","version":"2.12.0","proto":1,"go":"go1.26","host":"127.0.0.1","port":4222,` +
		`"headers":true,"max_payload":1048576,"client_id":5,"client_ip":"127.0.0.1","api_lvl":2,"xkey":"X","weir_version":"0.1.0"}` + " \r\n"
	if got := string(AppendInfo(nil, &least)); got != want {
		t.Errorf("least:\n got %q\nwant %q", got, want)
	}
	most := least
	most.GitCommit, most.IP, most.Nonce, most.Cluster, most.Domain, most.RemoteAccount = "abc", "10.0.0.1", "n", "c", "d", "$G"
	most.AuthRequired, most.TLSRequired, most.TLSVerify, most.TLSAvailable, most.JetStream = true, true, true, true, true
	most.ClusterDynamic, most.LameDuck, most.ConnectInfo, most.SystemAccount = true, true, true, true
	most.ConnectURLs = []string{"a:1", "b:2"}
	want = `INFO {"server_id":"NID","server_name":"lab","version":"2.12.0","proto":1,"git_commit":"abc","go":"go1.26","host":"127.0.0.1","port":4222,` +
		`"headers":true,"auth_required":true,"tls_required":true,"tls_verify":true,"tls_available":true,"max_payload":1048576,"jetstream":true,` +
		`"ip":"10.0.0.1","client_id":5,"client_ip":"127.0.0.1","nonce":"n","cluster":"c","cluster_dynamic":true,"domain":"d",` +
		`"connect_urls":["a:1","b:2"],"ldm":true,"connect_info":true,"remote_account":"$G","acc_is_sys":true,"api_lvl":2,"xkey":"X","weir_version":"0.1.0"}` + " \r\n"
	if got := string(AppendInfo(nil, &most)); got != want {
		t.Errorf("most:\n got %q\nwant %q", got, want)
	}
}

func TestInfoAlwaysSaysWhatClientsRelyOn(t *testing.T) {
	want := `INFO {"server_id":"","server_name":"","version":"","proto":0,"go":"","host":"","port":0,"headers":false,` +
		`"max_payload":0,"client_id":0,"api_lvl":0,"weir_version":""}` + " \r\n"
	if got := string(AppendInfo(nil, &Info{})); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestConnectKeepsWhatASecondOneDoesNotName(t *testing.T) {
	c := NewConnect()
	if !c.Verbose || !c.Pedantic || !c.Echo || c.Headers {
		t.Fatalf("before a CONNECT: %+v", c)
	}
	if err := c.Decode([]byte(`{"verbose":false,"user":"a","pass":"b","headers":true,"protocol":1,"tls_required":false,"whatever":{"x":[1]}}`)); err != nil {
		t.Fatal(err)
	}
	want := Connect{Pedantic: true, Echo: true, User: "a", Pass: "b", Headers: true, Protocol: 1}
	if c != want {
		t.Errorf("after the first: %+v", c)
	}
	if err := c.Decode([]byte(`{"echo":false,"user":"c"}`)); err != nil {
		t.Fatal(err)
	}
	want.Echo, want.User = false, "c"
	if c != want {
		t.Errorf("after the second: %+v", c)
	}
}

func TestMalformedConnectChangesNothing(t *testing.T) {
	for _, arg := range []string{"", "{", `{"user":"x","verbose":"yes"}`, `{"user":"x"} y`, `[]`, `{"user":"x","new_account":"y"}`, `{"protocol":1.5}`} {
		c := NewConnect()
		if err := c.Decode([]byte(arg)); err != ErrConnectJSON {
			t.Errorf("%q: error %v", arg, err)
		}
		if c != NewConnect() {
			t.Errorf("%q: left %+v", arg, c)
		}
	}
}

func TestConnectIsChecked(t *testing.T) {
	tests := []struct {
		arg  string
		want error
	}{
		{`{}`, nil},
		{`{"protocol":1,"headers":true,"no_responders":true}`, nil},
		{`{"protocol":5}`, ErrClientProtocol},
		{`{"protocol":-1}`, ErrClientProtocol},
		{`{"no_responders":true}`, ErrNoRespHeaders},
		{`{"account":"X"}`, ErrAccountField},
		{`{"new_account":true}`, ErrAccountField},
		{`{"account":"X","protocol":7,"no_responders":true}`, ErrAccountField},
		{`{"protocol":7,"no_responders":true}`, ErrClientProtocol},
	}
	for _, tt := range tests {
		c := NewConnect()
		if err := c.Decode([]byte(tt.arg)); err != nil {
			t.Errorf("%s: %v", tt.arg, err)
		}
		if err := c.Check(); err != tt.want {
			t.Errorf("%s: error %v, want %v", tt.arg, err, tt.want)
		}
	}
}

func TestErrorsSayWhetherTheyClose(t *testing.T) {
	open := []*Error{ErrMaxSubs, ErrPublishSubject, ErrSubject}
	for _, e := range open {
		if e.Closes() || e.Text == "" {
			t.Errorf("%v: closes, or says nothing", e)
		}
	}
	silent := []*Error{ErrPubArguments, ErrHPubArguments, ErrSubArguments, ErrUnsubArguments, ErrConnectJSON, ErrHeadersDisabled, ErrClientSentErr}
	for _, e := range silent {
		if !e.Closes() || e.Text != "" || e.Error() == "" {
			t.Errorf("%+v: stays open, tells the client, or does not tell the log", e)
		}
	}
	told := []*Error{ErrUnknownOperation, ErrControlLine, ErrMaxPayload, ErrClientProtocol, ErrNoRespHeaders, ErrAuthorization, ErrAuthTimeout,
		ErrUserExpired, ErrUserRevoked, ErrAccountExpired, ErrAccountBinding, ErrAccountConns, ErrMaxConns, ErrStale, ErrTLSRequired, ErrThrottled,
		ErrRoutePort, ErrLeafPort, ErrGatewayPort}
	for _, e := range told {
		if !e.Closes() || e.Text == "" || e.Error() != e.Text {
			t.Errorf("%+v: stays open, or does not tell the client", e)
		}
	}
}

func TestViolationsQuoteTheirSubject(t *testing.T) {
	tests := []struct{ got, want string }{
		{PublishViolation("no"), `Permissions Violation for Publish to "no"`},
		{PublishViolation("a\"b\xff"), `Permissions Violation for Publish to "a\"b\xff"`},
		{ReplyViolation("_R_.a.b"), `Permissions Violation for Publish with Reply of "_R_.a.b"`},
		{SubscribeViolation("bar", ""), `Permissions Violation for Subscription to "bar"`},
		{SubscribeViolation("bar", "q1"), `Permissions Violation for Subscription to "bar" using queue "q1"`},
		{RemovedViolation("old.x", "q", "3"), `Permissions Violation for Subscription to "old.x" using queue "q" (sid "3")`},
		{RemovedViolation("old.x", "", "3"), `Permissions Violation for Subscription to "old.x" (sid "3")`},
		{TokensViolation("a.b.c"), `Permissions Violation for Subscription to "a.b.c", too many tokens`},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("\n got %s\nwant %s", tt.got, tt.want)
		}
	}
}
