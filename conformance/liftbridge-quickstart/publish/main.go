// Publish makes a stream of four partitions, unless it is there, and publishes the
// lines of a file to it by key: what is before the tab is a line's key.
//
//	publish STREAM FILE
package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"sync"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
)

const partitions = 4

// inFlight bounds what is published and not yet acknowledged.
const inFlight = 1000

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: publish STREAM FILE")
	}
	if err := publish(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func publish(ctx context.Context, stream, name string) error {
	client, err := lift.Connect([]string{"localhost:9292"})
	if err != nil {
		return err
	}
	defer client.Close()
	err = client.CreateStream(ctx, stream, stream, lift.Partitions(partitions))
	if err != nil && !errors.Is(err, lift.ErrStreamExists) {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()

	var mu sync.Mutex
	var failed error
	counts := map[string]int{} // by partition
	room := make(chan struct{}, inFlight)
	acked := func(ack *lift.Ack, err error) {
		mu.Lock()
		if err != nil {
			failed = err
		} else {
			counts[ack.MessageSubject()]++
		}
		mu.Unlock()
		<-room
	}
	for in := bufio.NewScanner(f); in.Scan(); {
		key, value, _ := bytes.Cut(bytes.Clone(in.Bytes()), []byte("\t"))
		room <- struct{}{}
		if err := client.PublishAsync(ctx, stream, value, acked, lift.Key(key), lift.PartitionByKey()); err != nil {
			return err
		}
	}
	for range inFlight {
		room <- struct{}{} // all are back
	}
	if failed != nil {
		return failed
	}
	for n := range partitions {
		subject := stream
		if n > 0 {
			subject = fmt.Sprintf("%s.%d", stream, n)
		}
		fmt.Printf("partition %d  %6d messages\n", n, counts[subject])
	}
	return nil
}
