package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/conf"
)

// manual lists the keys of nats-server's files, by block.
var manual = map[string]string{
	"": `listen host net port client_advertise server_name server_tags server_metadata feature_flags debug trace trace_verbose trace_headers
		logtime logtime_utc logfile log_file logfile_size_limit log_size_limit logfile_max_num log_max_num syslog remote_syslog max_traced_msg_len
		pidfile pid_file ports_file_dir http http_port monitor_port https https_port http_base_path prof_port prof_block_rate
		max_control_line max_payload max_pending max_connections max_conn max_subscriptions max_subs max_sub_tokens max_subscription_tokens
		max_closed_clients ping_interval ping_max write_deadline write_timeout lame_duck_duration lame_duck_grace_period no_header_support
		disable_sublist_cache no_sublist_cache no_fast_producer_stall proxy_protocol connect_error_reports reconnect_error_reports tls
		allow_non_tls ocsp ocsp_cache authorization no_auth_user accounts mappings maps system_account system no_system_account no_system
		no_sys_acc default_sentinel proxies operator operators root roots root_operator root_operators trusted trusted_keys resolver
		account_resolver resolver_tls resolver_preload resolver_pinned_accounts cluster gateway leaf leafnodes websocket ws mqtt jetstream
		store_dir storedir default_js_domain streaming liftbridge log_format`,
	"authorization": "user username pass password token timeout users default_permission default_permissions permissions auth_callout auth_hook proxy_required",
	"jetstream": `store_dir sync_interval max_mem max_memory_store max_file max_file_store domain key prev_key cipher strict unique_tag
		max_outstanding_catchup max_buffered_size max_buffered_msgs request_queue_limit limits`,
	"jetstream.limits": "max_ack_pending max_ha_assets max_request_batch duplicate_window batch",
	"accounts.A":       "nkey users imports exports jetstream default_permissions mappings maps limits msg_trace trace_dest",
	"accounts.A.jetstream": `max_memory max_mem max_store max_file max_streams max_consumers max_ack_pending max_bytes_required max_stream_bytes
		max_bytes memory_max_stream_bytes mem_max_stream_bytes disk_max_stream_bytes store_max_stream_bytes cluster_traffic`,
	"accounts.A.limits": "max_connections max_subscriptions max_payload max_leafnodes",
}

// TestEveryKeyOfTheManualIsKnown gives each key a value that fits hardly any: it
// is taken, warned of, or refused for its value, but never called unknown.
func TestEveryKeyOfTheManualIsKnown(t *testing.T) {
	for _, path := range slices.Sorted(maps.Keys(manual)) {
		for key := range strings.FieldsSeq(manual[path]) {
			text := key + ": { no_such_thing: 1 }"
			for _, outer := range slices.Backward(strings.Split(path, ".")) {
				if outer != "" {
					text = outer + " { " + text + " }"
				}
			}
			_, err := loadText(t, text)
			if err != nil && strings.Contains(err.Error(), key+": unknown key") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestAWrongTypeNamesItsKey(t *testing.T) {
	for _, key := range []string{
		"port", "debug", "max_payload", "max_connections", "ping_interval", "http_port", "listen", "no_header_support",
		"jetstream.enabled", "jetstream.domain", "jetstream.max_mem", "jetstream.limits.duplicate_window", "authorization.timeout",
		"authorization.user", "accounts.A.limits.max_connections", "write_timeout", "http",
	} {
		parts := strings.Split(key, ".")
		text := parts[len(parts)-1] + ": [ {} ]"
		for _, outer := range slices.Backward(parts[:len(parts)-1]) {
			text = outer + " {\n" + text + " }"
		}
		want := fmt.Sprintf("test.conf:%d: %s: must be", len(parts), key)
		if _, err := loadText(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestNumbersOutOfRangeAreRefused(t *testing.T) {
	for _, text := range []string{
		"listen: 70000", "listen: -2", `listen: "h:70000"`, `listen: "h"`, "max_payload: 3GB", "max_payload: -1", `max_payload: "1\ninclude x"`,
		`ping_interval: "-1s"`, "ping_interval: 9223372036854775807", "ping_interval: 1e300", `ping_interval: "999999h"`,
		"ping_max: 0", "max_sub_tokens: 256", "http_port: 65536", "max_control_line: 0", "max_subs: -1",
	} {
		if c, err := loadText(t, text); err == nil {
			t.Errorf("%s is taken: %+v", text, c)
		}
	}
}

func TestVariablesAreNoKeys(t *testing.T) {
	c, err := loadText(t, "my_port: 7777\nport: $my_port")
	if err != nil || c.Port != 7777 {
		t.Errorf("%+v, %v", c, err)
	}
	t.Setenv("WEIR_TEST_NOTHING", "''")
	if _, err := loadText(t, "authorization { token: $WEIR_TEST_NOTHING }"); err == nil {
		t.Error("an empty variable leaves the server open")
	}
}

// TestFilesForWhatIsNotServedYetLoadWithWarnings has the blocks that clients' own
// test suites put beside what they test.
func TestFilesForWhatIsNotServedYetLoadWithWarnings(t *testing.T) {
	var accounts strings.Builder
	for i := range 5 {
		fmt.Fprintf(&accounts, "USERS%d { users = [ { user: \"user%d\", pass: \"password\" } ]\n jetstream: true\n }\n", i+1, i+1)
	}
	c, err := loadText(t, `
server_name: "S"
host: "127.0.0.1"
port: -1
client_advertise: "127.0.0.1:4222"
jetstream { store_dir: "d" }
cluster { name: "C", host: "127.0.0.1", port: 6222, routes: [ "nats://127.0.0.1:6223" ] }
websocket { host: "127.0.0.1", port: 8080, no_tls: true }
leafnodes { host: "127.0.0.1", port: 7422 }
mqtt { port: 1883 }
streaming { cluster_id: "test-cluster", store: "file", dir: "d" }
liftbridge { listen: "127.0.0.1:9292" }
system_account: "$SYS"
no_auth_user: user1
accounts {
`+accounts.String()+`
  $SYS { users = [ { user: "system", pass: "password" } ] }
}`)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) == 0 || len(c.Accounts) != 6 || !c.JetStream.Enabled {
		t.Errorf("%d accounts, warnings %q", len(c.Accounts), c.Warnings)
	}
	for _, w := range c.Warnings {
		if !strings.Contains(w, "not served yet") {
			t.Errorf("warning %q does not say that it is not served", w)
		}
	}
}

// FuzzLoad gives the loader any text: an error or a configuration comes out, and
// what comes out can be used.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"port: 4222", "listen: \"h:1\"", "jetstream { store_dir: x, max_mem: 1GB, limits { duplicate_window: \"2m\" } }",
		"authorization { users: [ { user: a, password: b, permissions: { publish: { deny: \"x.>\" }, allow_responses: { max: 1 } } } ] }",
		"accounts { A { jetstream: { max_mem: -1 }, users: [ {user: a} ], limits { max_conn: 1 } } }", "accounts: [ A, B ]",
		"no_auth_user: x", "ping_interval: 1.5e300", "port: { }", "[", "a: $a", "jetstream: [true]", "users: 1", "accounts: { $G: {} }",
		"max_payload: '9999999999999999999gb'", "authorization: [1]", "accounts { A: 1 }", "http: \":::\"",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") || strings.Contains(text, "$") {
			return // reads files and the environment
		}
		m, err := conf.ParseWithChecks(text)
		if err != nil {
			return
		}
		c, err := load(m, "fuzz.conf", "")
		if err != nil {
			return
		}
		c.settle()
		if c.check() != nil {
			return
		}
		if c.Host == "" || c.MaxPayload < 1 || c.PingInterval < 0 || c.HTTP.Port > 65535 || c.Port > 65535 {
			t.Errorf("%q becomes %+v", text, c)
		}
		if got := Diff(c, c); len(got) != 0 {
			t.Errorf("%q differs from itself: %v", text, got)
		}
	})
}
