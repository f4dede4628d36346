package http2_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"
)

// notApplicable are the cases of h2spec that say nothing of a server of gRPC, by section
// and number, with the reason.
var notApplicable = map[string]string{
	"generic/2/2":     noBody,
	"generic/2/3":     noBody,
	"http2/5.3.1/1":   noPriority,
	"http2/5.3.1/2":   noPriority,
	"http2/5.1.2/1":   refusedFirst + "; TestMoreCallsThanAllowedAreRefused has it with calls",
	"http2/5.1/5":     refusedFirst + "; TestACallGoesOnWhenItsClientHasSentAll has it with a call",
	"http2/6.1/2":     refusedFirst + "; TestACallGoesOnWhenItsClientHasSentAll has it with a call",
	"http2/6.9.1/3":   refusedFirst + "; TestAWindowThatIsTooWideIsRefusedOrStaysWide has it with a call",
	"http2/8.1.2.6/1": refusedFirst,
	"http2/8.1.2.6/2": refusedFirst,
}

const (
	noBody       = "it wants a GET to be answered with a body"
	noPriority   = "RFC 9113 takes the priorities of RFC 7540 out"
	refusedFirst = "its GET, which has no content-type, is answered with 415 before that comes, and the stream is over"
)

// TestH2specPasses runs all of h2spec's cases for servers, also the strict ones.
func TestH2specPasses(t *testing.T) {
	_, addr := start(t, "")
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	c := &config.Config{Host: host, Port: port, Path: "/", Timeout: 5 * time.Second, MaxHeaderLen: 4000, Strict: true}
	var wg sync.WaitGroup
	places := make(chan struct{}, 16)
	seen := map[string]bool{}
	run := func(id string, tc *spec.TestCase) {
		seen[id] = true
		if notApplicable[id] != "" {
			return
		}
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := runCase(c, tc); err != nil {
				t.Errorf("%s: %s\n%s\n%v", id, tc.Desc, tc.Requirement, err)
			}
		})
	}
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		eachCase(g, run)
	}
	wg.Wait()
	for id := range notApplicable {
		if !seen[id] {
			t.Errorf("h2spec has no case %s", id)
		}
	}
	t.Logf("of %d cases %d cannot apply", len(seen), len(notApplicable))
}

// eachCase goes through the cases of a group and of those under it.
func eachCase(g *spec.TestGroup, do func(id string, tc *spec.TestCase)) {
	for i, tc := range append(g.Tests, g.StrictTests...) {
		do(fmt.Sprintf("%s/%d", g.ID(), i+1), tc)
	}
	for _, under := range g.Groups {
		eachCase(under, do)
	}
}

// runCase runs a case with a connection of its own. h2spec takes a connection that is reset
// for an error of its own, and not for one that ended.
func runCase(c *config.Config, tc *spec.TestCase) error {
	conn, err := spec.Dial(c)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	err = tc.Run(c, conn)
	var failed *spec.TestError
	if errors.As(err, &failed) && strings.Contains(failed.Actual, "connection reset by peer") && slices.Contains(failed.Expected, spec.ExpectedConnectionClosed) {
		return nil
	}
	if errors.Is(err, spec.ErrSkipped) {
		return nil
	}
	return err
}
