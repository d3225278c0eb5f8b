a = <<EOF
 x
EOF
b = <<-EOF
  x
    y
  EOF
c = [<<E
E
, "x"]
