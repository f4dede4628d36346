// Command wnoisy measures what one client can do to the others.
//
//	wnoisy --url URL | --bin PATH --conf FILE [flags] [slow] [flood]
//
// slow: a publisher and a subscriber on a subject, at first alone and then beside
// a subscriber on the same subject that never reads. kept is the share of their
// throughput that is left; cut_off says that the server closed the other one.
//
// flood: a caller and a responder, at first alone and then while another client
// publishes to another subscriber as fast as that reads. times is how many times
// higher the 99th percentile of the round trip has become. The flood comes from a
// process of its own, so that the load generator's scheduler is not what is
// measured.
//
// Each run is one line of JSON; the exit status is 1 when one failed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

type failure struct{ error }

func main() {
	url := flag.String("url", "", "a running server")
	bin := flag.String("bin", "", "start this server for every run")
	conf := flag.String("conf", "", "configuration template with {{PORT}}, {{STORE}}, {{SYNC}}")
	dur := flag.Duration("dur", 3*time.Second, "time of each of the two halves of a run")
	runs := flag.Int("runs", 1, "runs of each workload")
	role := flag.String("role", "", "internal: flood")
	flag.Parse()
	if *role == "flood" {
		floodProcess(*url)
		return
	}
	workloads := flag.Args()
	if len(workloads) == 0 {
		workloads = []string{"slow", "flood"}
	}
	if (*url == "") == (*bin == "") || *bin != "" && *conf == "" {
		flag.Usage()
		os.Exit(2)
	}
	failed := false
	for _, w := range workloads {
		for run := 1; run <= *runs; run++ {
			r := once(w, *url, *bin, *conf, *dur)
			r["workload"], r["run"] = "noisy-"+w, run
			line, err := json.Marshal(r)
			if err != nil || r["error"] != nil {
				failed = true
			}
			fmt.Println(string(line))
		}
	}
	if failed {
		os.Exit(1)
	}
}

// result is a line of output.
type result map[string]any

// once runs a workload against a server that it starts, if need be.
func once(workload, url, bin, conf string, dur time.Duration) (r result) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				panic(p)
			}
			r = result{"error": f.Error()}
		}
	}()
	if bin != "" {
		s := start(bin, conf)
		defer s.stop()
		url = s.url
	}
	switch workload {
	case "slow":
		return slow(url, dur)
	case "flood":
		return flood(url, dur)
	}
	return result{"error": "no such workload: " + workload}
}

// server is a process that a run has started.
type server struct {
	url, dir string
	cmd      *exec.Cmd
}

func start(bin, conf string) *server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	addr := ln.Addr().String()
	check(ln.Close())
	_, port, _ := strings.Cut(addr, ":")
	dir, err := os.MkdirTemp("", "wnoisy-")
	check(err)
	s := &server{url: "nats://" + addr, dir: dir}
	text, err := os.ReadFile(conf)
	check(err)
	made := strings.NewReplacer("{{PORT}}", port, "{{STORE}}", filepath.Join(dir, "store"), "{{SYNC}}", "2m").Replace(string(text))
	file := filepath.Join(dir, "server.conf")
	check(os.WriteFile(file, []byte(made), 0o600))
	s.cmd = exec.Command(bin, "-c", file)
	check(s.cmd.Start())
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			check(c.Close())
			return s
		}
		if time.Now().After(limit) {
			s.stop()
			check(fmt.Errorf("server did not start: %w", err))
		}
	}
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	kill := time.AfterFunc(10*time.Second, func() { _ = s.cmd.Process.Kill() })
	_ = s.cmd.Wait()
	kill.Stop()
	_ = os.RemoveAll(s.dir)
}

// slow measures a flow alone and then beside a subscriber that never reads.
func slow(url string, dur time.Duration) result {
	f := newFlow(url, "noisy.slow")
	defer f.close()
	f.run(dur / 4) // warm up
	quiet := f.run(dur)
	sleeper := dial(url)
	defer func() { _ = sleeper.c.Close() }()
	sleeper.write("SUB noisy.slow 1\r\nPING\r\n")
	sleeper.pong()
	beside := f.run(dur)
	return result{
		"quiet_msgs_s": math.Round(quiet), "beside_msgs_s": math.Round(beside),
		"kept": round(beside / quiet), "cut_off": sleeper.ended(),
	}
}

// flood measures round trips alone and then beside a flow in another process.
func flood(url string, dur time.Duration) result {
	c := newCaller(url)
	defer c.close()
	c.run(dur / 4) // warm up
	quiet := c.run(dur)
	self, err := os.Executable()
	check(err)
	cmd := exec.Command(self, "--role", "flood", "--url", url)
	in, err := cmd.StdinPipe()
	check(err)
	out, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	br := bufio.NewReader(out)
	_, err = br.ReadString('\n') // it runs
	check(err)
	beside := c.run(dur)
	check(in.Close())
	line, err := io.ReadAll(br)
	check(err)
	check(cmd.Wait())
	rate, err := strconv.ParseFloat(strings.TrimSpace(string(line)), 64)
	check(err)
	q, b := quantile(quiet, 0.99), quantile(beside, 0.99)
	return result{
		"quiet_p50_us": quantile(quiet, 0.5), "quiet_p99_us": q,
		"beside_p50_us": quantile(beside, 0.5), "beside_p99_us": b,
		"times": round(b / q), "calls_s": len(beside) * int(time.Second) / int(dur), "flood_msgs_s": math.Round(rate),
	}
}

// floodProcess floods until its standard input ends, and prints the rate.
func floodProcess(url string) {
	f := newFlow(url, "noisy.flood")
	f.run(100 * time.Millisecond)
	fmt.Println("running")
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	fmt.Println(f.runUntil(done))
}

func quantile(lat []time.Duration, q float64) float64 {
	if len(lat) == 0 {
		check(fmt.Errorf("no round trip"))
	}
	slices.Sort(lat)
	return round(float64(lat[int(float64(len(lat)-1)*q)].Nanoseconds()) / 1e3)
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }
