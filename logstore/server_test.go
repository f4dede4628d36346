package logstore_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/weirmq/weir/logstore"
	"github.com/weirmq/weir/logstore/dirlog"
)

// asServer has the test's own program be a server with a storage of its own.
const asServer = "LOGSTORE_TEST_SERVER"

func TestMain(m *testing.M) {
	if args := os.Getenv(asServer); args != "" {
		if !strings.Contains(args, "plain") {
			logstore.Register("dir", dirlog.Kind)
		}
		os.Exit(logstore.Main(strings.Fields(args)[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// patience bounds each wait.
const patience = 20 * time.Second

// serve starts such a server on a directory, and connects to it. failed has what it said
// where it does not start.
func serve(t *testing.T, with, dir string) (cmd *exec.Cmd, js jetstream.JetStream, failed string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(program)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s -js -sd %s -a 127.0.0.1 -p -1", asServer, with, dir))
	words, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	url := make(chan string, 1)
	go func() {
		defer close(url)
		at := ""
		for in := bufio.NewScanner(words); in.Scan(); {
			line := in.Text()
			failed += line + "\n"
			if words := strings.Fields(line); len(words) == 3 && words[0] == "NATS" {
				at = words[2]
			}
			if strings.HasPrefix(line, "ready in") {
				url <- at
			}
		}
	}()
	select {
	case u, ok := <-url:
		if !ok {
			return cmd, nil, failed
		}
		nc, err := nats.Connect(u)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		if js, err = jetstream.New(nc); err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the server is not ready")
	}
	return cmd, js, ""
}

func end(t *testing.T, cmd *exec.Cmd, by os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(by); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is that of a signal
}

// TestStreamsLiveInAStorageOfSomebodyElse has a stream outlive an orderly end and a kill,
// with limits and deletes; and its directory go with it.
func TestStreamsLiveInAStorageOfSomebodyElse(t *testing.T) {
	dir := t.TempDir()
	cmd, js, _ := serve(t, "kind", dir)
	config := jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, MaxMsgs: 50, Metadata: map[string]string{"weir.storage": "dir"}}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	put := func(first, last int) {
		t.Helper()
		for i := first; i <= last; i++ {
			if _, err := js.Publish(t.Context(), fmt.Sprint("s.", i%3), fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(1, 60)
	s, err := js.Stream(t.Context(), "S")
	if err == nil {
		err = s.DeleteMsg(t.Context(), 30)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, by := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL} {
		put(61+i*10, 70+i*10)
		end(t, cmd, by)
		cmd, js, _ = serve(t, "kind", dir)
		last := uint64(70 + i*10)
		s, err := js.Stream(t.Context(), "S")
		if err != nil {
			t.Fatal(err)
		}
		st := s.CachedInfo().State
		if st.LastSeq != last || st.FirstSeq < last-50 || st.NumSubjects != 3 {
			t.Fatalf("%+v", st)
		}
		c, err := s.OrderedConsumer(t.Context(), jetstream.OrderedConsumerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for want := st.FirstSeq; want <= last; want++ {
			if want == 30 {
				continue
			}
			m, err := c.Next(jetstream.FetchMaxWait(patience))
			if err != nil || string(m.Data()) != fmt.Sprint(want) {
				t.Fatalf("%s, %v; want %d", m.Data(), err, want)
			}
		}
		if m, err := s.GetLastMsgForSubject(t.Context(), "s.1"); err != nil || m.Sequence != last-(last-1)%3 {
			t.Errorf("the last of s.1 is %+v, %v", m, err)
		}
	}
	config.Metadata = nil
	if _, err := js.UpdateStream(t.Context(), config); err == nil || !strings.Contains(err.Error(), "storage") {
		t.Errorf("a change of the storage: %v", err)
	}
	kept := filepath.Join(dir, "jetstream", "storages", "dir")
	if _, err := os.Stat(kept); err != nil {
		kept = filepath.Join(dir, "storages", "dir")
	}
	if names, err := os.ReadDir(kept); err != nil || len(names) != 1 {
		t.Errorf("%v, %v", names, err)
	}
	if err := js.DeleteStream(t.Context(), "S"); err != nil {
		t.Fatal(err)
	}
	for at := time.Now(); ; {
		names, err := os.ReadDir(kept)
		if err == nil && len(names) == 0 {
			break
		}
		if time.Since(at) > patience {
			t.Fatalf("%v are left of a deleted stream, %v", names, err)
		}
	}
}

func TestAServerWithoutAStorageSaysSo(t *testing.T) {
	dir := t.TempDir()
	cmd, js, _ := serve(t, "plain", dir)
	config := jetstream.StreamConfig{Name: "S", Metadata: map[string]string{"weir.storage": "dir"}}
	if _, err := js.CreateStream(t.Context(), config); err == nil {
		t.Error("a stream is made in a storage that is not there")
	}
	end(t, cmd, syscall.SIGTERM)
	cmd, js, _ = serve(t, "kind", dir)
	for change, config := range map[string]jetstream.StreamConfig{
		"memory":     {Name: "S", Storage: jetstream.MemoryStorage, Metadata: config.Metadata},
		"compressed": {Name: "S", Compression: jetstream.S2Compression, Metadata: config.Metadata},
	} {
		var refusal *jetstream.APIError
		if _, err := js.CreateStream(t.Context(), config); !errors.As(err, &refusal) || !strings.Contains(refusal.Description, "another storage") {
			t.Errorf("%s: %v", change, err)
		}
	}
	if _, err := js.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	end(t, cmd, syscall.SIGTERM)
	if _, js, failed := serve(t, "plain", dir); js != nil || !strings.Contains(failed, `the storage "dir", which this server does not have`) {
		t.Errorf("a server without the storage starts, or says %q", failed)
	}
}
