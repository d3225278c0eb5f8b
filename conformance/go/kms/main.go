// Kms drives Strongroom with the module by which OpenBao unseals itself, unchanged: round trips from many goroutines,
// with the key rotated in between. The Rust test beside it kills the server in the middle.
//
// It prints "half" when half of the round trips are done, and "done N v1=… v2=…" at the end. Any failed or wrong round
// trip ends it with status 1.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	wrapping "github.com/openbao/go-kms-wrapping/v2"
	"github.com/openbao/go-kms-wrapping/wrappers/transit/v2"
)

func main() {
	rounds := flag.Int("rounds", 10_000, "round trips in all")
	workers := flag.Int("workers", 16, "goroutines")
	rotations := flag.Int("rotations", 5, "rotations in between")
	flag.Parse()
	if err := run(int64(*rounds), *workers, int64(*rotations)); err != nil {
		fmt.Fprintln(os.Stderr, "kms:", err)
		os.Exit(1)
	}
}

func run(rounds int64, workers int, rotations int64) error {
	ctx := context.Background()
	wrapper := transit.NewWrapper()
	if _, err := wrapper.SetConfig(ctx, wrapping.WithConfigMap(map[string]string{
		"address":    os.Getenv("KMS_ADDR"),
		"token":      os.Getenv("KMS_TOKEN"),
		"mount_path": os.Getenv("KMS_MOUNT"),
		"key_name":   os.Getenv("KMS_KEY"),
	})); err != nil {
		return fmt.Errorf("configure: %w", err)
	}

	var done, rotated atomic.Int64
	var mutex sync.Mutex
	versions := map[string]int{}
	failures := make(chan error, workers)
	stop := make(chan struct{})
	var group sync.WaitGroup
	var once sync.Once
	fail := func(err error) {
		failures <- err
		once.Do(func() { close(stop) })
	}
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			secret := make([]byte, 32)
			for {
				select {
				case <-stop:
					return
				default:
				}
				number := done.Add(1)
				if number > rounds {
					return
				}
				if _, err := rand.Read(secret); err != nil {
					fail(err)
					return
				}
				blob, err := wrapper.Encrypt(ctx, secret)
				if err != nil {
					fail(fmt.Errorf("encrypt %d: %w", number, err))
					return
				}
				back, err := wrapper.Decrypt(ctx, blob)
				if err != nil {
					fail(fmt.Errorf("decrypt %d: %w", number, err))
					return
				}
				if !bytes.Equal(secret, back) {
					fail(fmt.Errorf("round trip %d gave other bytes", number))
					return
				}
				mutex.Lock()
				versions[blob.KeyInfo.KeyId]++
				mutex.Unlock()
				if number == rounds/2 {
					fmt.Println("half")
				}
				if number%(rounds/(rotations+1)) == 0 && rotated.Add(1) <= rotations {
					if err := rotate(); err != nil {
						fail(fmt.Errorf("rotate: %w", err))
						return
					}
				}
			}
		}()
	}
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	var seen []string
	for version, count := range versions {
		seen = append(seen, fmt.Sprintf("%s=%d", version, count))
	}
	sort.Strings(seen)
	fmt.Println("done", rounds, strings.Join(seen, " "))
	return nil
}

// rotate uses the operator's token; it tries again while the server restarts.
func rotate() error {
	url := fmt.Sprintf("%s/v1/%s/keys/%s/rotate", os.Getenv("KMS_ADDR"), os.Getenv("KMS_MOUNT"), os.Getenv("KMS_KEY"))
	var last error
	for range 100 {
		request, err := http.NewRequest(http.MethodPost, url, nil)
		if err != nil {
			return err
		}
		request.Header.Set("X-Vault-Token", os.Getenv("KMS_OPERATOR_TOKEN"))
		reply, err := http.DefaultClient.Do(request)
		if err == nil {
			reply.Body.Close()
			if reply.StatusCode == 200 || reply.StatusCode == 204 {
				return nil
			}
			err = fmt.Errorf("status %d", reply.StatusCode)
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	return last
}
