terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.82, < 7.0" # from there on, no thumbprint_list is needed
    }
  }
}

provider "aws" {
  region = var.region
}
