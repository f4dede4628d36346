// Member reads a stream as a member of a group and prints partition, offset, key and
// value of each message, until COUNT messages or SIGTERM. It tells the group how far it
// is twice a second.
//
//	member GROUP NAME STREAM [COUNT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 && len(os.Args) != 5 {
		log.Fatal("usage: member GROUP NAME STREAM [COUNT]")
	}
	count := 0
	if len(os.Args) == 5 {
		n, err := strconv.Atoi(os.Args[4])
		if err != nil {
			log.Fatal(err)
		}
		count = n
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := read(ctx, os.Args[1], os.Args[2], os.Args[3], count); err != nil {
		log.Fatal(err)
	}
}

func read(ctx context.Context, group, name, stream string, count int) error {
	client, err := lift.Connect([]string{"localhost:9292"})
	if err != nil {
		return err
	}
	defer client.Close()
	consumer, err := client.CreateConsumer(group, lift.ConsumerID(name), lift.AutoOffsetEarliest(),
		lift.AutoCheckpoint(500*time.Millisecond),
		lift.FetchAssignmentsInterval(func(timeout time.Duration) time.Duration { return timeout / 5 }))
	if err != nil {
		return err
	}
	var mu sync.Mutex // partitions are read side by side
	seen, all := 0, make(chan struct{})
	handle := func(m *lift.Message, err error) {
		if err != nil {
			return // the group has changed: the client subscribes again
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%d\t%d\t%s\t%s\n", m.Partition(), m.Offset(), m.Key(), m.Value())
		if seen++; seen%100 == 0 {
			// Stands for what an application does with its messages: without it all would
			// be read before a member could be killed. Nothing waits for it to be over.
			time.Sleep(8 * time.Millisecond)
		}
		if seen == count {
			close(all)
		}
	}
	if err := consumer.Subscribe(context.Background(), []string{stream}, handle); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-all:
	}
	if err := consumer.Checkpoint(context.Background()); err != nil {
		return err
	}
	return leave(consumer)
}

// leave takes the consumer out of the group. Close does so first, and then waits for the
// client's own loop, which never ends where it was just refused for its epoch
// (go-liftbridge 2.4.0): nothing is lost by not waiting for it.
func leave(consumer *lift.Consumer) error {
	left := make(chan error, 1)
	go func() { left <- consumer.Close() }()
	select {
	case err := <-left:
		return err
	case <-time.After(5 * time.Second):
		return nil
	}
}
