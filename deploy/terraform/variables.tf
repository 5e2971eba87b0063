variable "region" {
  description = "Where everything is, such as eu-central-1."
  type        = string
}

variable "environment" {
  description = "One of the four of .github/workflows/deploy.yml; each has a state of its own."
  type        = string

  validation {
    condition     = contains(["develop", "qa", "staging", "production"], var.environment)
    error_message = "The environment is one of develop, qa, staging, production."
  }
}

variable "repository" {
  description = "OWNER/NAME on GitHub: its workflow, in the environment above, may deploy."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.repository))
    error_message = "The repository is OWNER/NAME, without wildcards."
  }
}

variable "create_oidc_provider" {
  description = "An account has one provider for GitHub: true in the first environment only."
  type        = bool
  default     = true
}

variable "bucket" {
  description = "The name of the bucket for releases; nobody else in the world may have it."
  type        = string
}

variable "subnet_id" {
  description = "A public subnet, for a machine that is made; empty: one of the default VPC."
  type        = string
  default     = ""
}

variable "instance_type" {
  description = "One core bounds what the server carries: a fast one is worth more than many."
  type        = string
  default     = "c7i.large"
}

variable "relay_ports" {
  description = "The UDP ports of relayed media: relay_ports in server.ini."
  type        = object({ first = number, last = number })
  default     = { first = 49152, last = 65535 }
}

variable "https_port" {
  description = "The port of the page and of WebSockets: port in server.ini, 443 or 8086."
  type        = number
  default     = 443
}
