data "aws_subnets" "default" {
  count = var.subnet_id == "" ? 1 : 0

  filter {
    name   = "default-for-az"
    values = ["true"]
  }
}

locals {
  subnet_id = var.subnet_id == "" ? sort(data.aws_subnets.default[0].ids)[0] : var.subnet_id

  # What docs/deployment.md lists. There is no SSH: Systems Manager opens a shell.
  open_ports = {
    "challenges and redirects" = { protocol = "tcp", first = 80, last = 80 }
    "page and WebSockets"      = { protocol = "tcp", first = var.https_port, last = var.https_port }
    "TURN over UDP"            = { protocol = "udp", first = 19302, last = 19302 }
    "TURN over TCP"            = { protocol = "tcp", first = 19303, last = 19303 }
    "relayed media" = {
      protocol = "udp", first = var.relay_ports.first, last = var.relay_ports.last
    }
  }
}

data "aws_subnet" "server" {
  id = local.subnet_id
}

resource "aws_security_group" "server" {
  name        = "tornado-webrtc-${var.environment}"
  description = "tornado-webrtc: signaling, TURN and relayed media"
  vpc_id      = data.aws_subnet.server.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "ipv4" {
  for_each = local.open_ports

  security_group_id = aws_security_group.server.id
  description       = each.key
  ip_protocol       = each.value.protocol
  from_port         = each.value.first
  to_port           = each.value.last
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_ingress_rule" "ipv6" {
  for_each = local.open_ports

  security_group_id = aws_security_group.server.id
  description       = each.key
  ip_protocol       = each.value.protocol
  from_port         = each.value.first
  to_port           = each.value.last
  cidr_ipv6         = "::/0"
}

# Relayed media goes to whatever port a client has.
resource "aws_vpc_security_group_egress_rule" "ipv4" {
  security_group_id = aws_security_group.server.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "ipv6" {
  security_group_id = aws_security_group.server.id
  ip_protocol       = "-1"
  cidr_ipv6         = "::/0"
}

resource "aws_eip" "server" {
  domain   = "vpc"
  instance = aws_instance.server.id
  tags     = { Name = "tornado-webrtc-${var.environment}" }
}
