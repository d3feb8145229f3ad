// Package outcome prints the lines of a driver: `case = outcome`, free of ports, times and random ids.
package outcome

import (
	"fmt"
	"hash/crc32"
	"os"
	"regexp"
	"strings"
	"time"
)

// Patience is how long a condition may take to come true.
const Patience = 60 * time.Second

var address = regexp.MustCompile(`(127\.0\.0\.1|localhost):[0-9]+`)

// Bootstrap is the brokers' plaintext listeners.
func Bootstrap() []string { return strings.Split(os.Getenv("BOOTSTRAP"), ",") }

// SSLBootstrap is their TLS listeners.
func SSLBootstrap() []string { return strings.Split(os.Getenv("SSL_BOOTSTRAP"), ",") }

// Line prints one outcome.
func Line(name string, format string, values ...any) {
	fmt.Printf("%s = %s\n", name, address.ReplaceAllString(fmt.Sprintf(format, values...), "HOST:PORT"))
}

// Section runs a part of the driver; an error ends the part and is a line too.
func Section(name string, body func() error) {
	started := time.Now()
	if err := body(); err != nil {
		Line("section."+name, "error: %v", err)
	} else {
		Line("section."+name, "done")
	}
	fmt.Fprintf(os.Stderr, "%s took %s\n", name, time.Since(started))
}

// Result is what an operation that gives only an error came to.
func Result(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

// Digest is one number for a list of values, in order.
func Digest(values [][]byte) string {
	sum := crc32.NewIEEE()
	for _, value := range values {
		sum.Write(value)
	}
	return fmt.Sprintf("%d values %08x", len(values), sum.Sum32())
}
