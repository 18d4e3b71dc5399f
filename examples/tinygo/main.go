// Inventory prints what the program was given: its arguments, then its environment, one a line.
package main

import (
	"fmt"
	"os"
)

func main() {
	for _, arg := range os.Args[1:] {
		fmt.Println("argument", arg)
	}
	for _, variable := range os.Environ() {
		fmt.Println("variable", variable)
	}
}
